// What a node application does, with node-pg: told as JSON. node driver_script.js URL
const { Client } = require("pg");
(async () => {
  const told = [];
  const client = new Client({ connectionString: process.argv[2] });
  const notices = [], heard = [];
  client.on("notice", (notice) => notices.push(notice.message));
  client.on("notification", (message) => heard.push(message.payload));
  await client.connect();
  await client.query("create temporary table marks (id int primary key, text text)");
  await client.query("insert into marks values ($1, $2), ($3, null)", [1, "one", 2]);
  for (const id of [1, 2]) {
    told.push((await client.query({ name: "by-id", text: "select * from marks where id = $1", values: [id] })).rows);
  }
  told.push((await client.query("select 1 as a; select 2 as b")).map((result) => result.rows));
  told.push(await client.query("insert into marks values (1, 'again')").catch((error) => error.code));
  await client.query("do $$ begin raise notice 'hello'; end $$");
  await client.query("listen news; notify news, 'heard'");
  await client.query("select 1");
  told.push(notices, heard);
  await client.end();
  console.log(JSON.stringify(told));
})();
