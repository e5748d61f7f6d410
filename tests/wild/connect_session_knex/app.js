// Two requests of one visitor at once, the first of a session: each saves it in the end.

const http = require('node:http')
const knex = require('knex')({ client: 'pg', connection: process.env.DATABASE_URL, pool: { min: 3, max: 3 } })
const { ConnectSessionKnexStore } = require('connect-session-knex')

process.on('unhandledRejection', () => {}) // the store tells its callback, and rejects besides

const store = new ConnectSessionKnexStore({ knex, tableName: 'sessions', createTable: false, cleanupInterval: 0 })

http
  .createServer((request, response) => {
    const session = { cookie: { originalMaxAge: 3600000, expires: '2030-01-01T00:00:00Z' }, page: request.url }
    store.set('one', session, (error) => {
      const body = error ? { error: error.message.split(' - ').pop() } : {}
      response.writeHead(error ? 500 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  .listen(process.env.PORT, '127.0.0.1')
