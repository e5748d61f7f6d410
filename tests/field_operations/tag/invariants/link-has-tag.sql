-- title: a link has its tag
select doc, position from doc_tag where tag_id is null order by doc
