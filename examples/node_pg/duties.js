// Duties, left by two endpoints of a Node application over one pool of node-postgres: by one, everybody may leave.

const http = require('node:http')
const { Pool } = require('pg')

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 3 })
const SEEN = 'select name from doctors where is_on_duty'
const LOCKED = 'select name from doctors where is_on_duty order by name for update'

async function leave(name, look) {
  const client = await pool.connect()
  try {
    await client.query('begin isolation level read committed')
    const { rows } = await client.query(look)
    if (rows.length < 2) {
      await client.query('rollback')
      return [409, { error: 'nobody else is there' }]
    }
    await client.query('update doctors set is_on_duty = false where name = $1', [name])
    await client.query('commit')
    return [200, { left: name }]
  } catch (error) {
    await client.query('rollback')
    return [500, { error: error.message }]
  } finally {
    client.release()
  }
}

http
  .createServer(async (request, response) => {
    const [, , name, act] = request.url.split('/')
    const [status, body] = await leave(name, act === 'leave' ? SEEN : LOCKED)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  .listen(process.env.PORT, '127.0.0.1')
