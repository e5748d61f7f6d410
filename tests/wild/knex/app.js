// Two servers that begin at once, as their migrations do: the row that Knex locks them with is not there yet.

const http = require('node:http')
const knex = require('knex')({ client: 'pg', connection: process.env.DATABASE_URL, pool: { min: 3, max: 3 } })
const migrationSource = { getMigrations: async () => [], getMigrationName: (each) => each, getMigration: (each) => each }

http
  .createServer(async (request, response) => {
    try {
      await knex.migrate.latest({ migrationSource })
      response.writeHead(200).end()
    } catch (error) {
      response.writeHead(500, { 'content-type': 'application/json' }).end(JSON.stringify({ error: error.message }))
    }
  })
  .listen(process.env.PORT, '127.0.0.1')
