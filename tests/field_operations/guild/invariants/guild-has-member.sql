-- title: a guild has a member
select guild.id, guild.code
from guild
left join member on member.guild_id = guild.id
where member.guild_id is null
order by guild.id
