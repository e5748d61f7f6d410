// A websocket of npm's ws that comes back, and says what it saw last.
import WebSocket from 'ws'
let last
const connect = () => {
  const socket = new WebSocket(process.argv[2] + (last === undefined ? '' : `&lastSequence=${last}`))
  socket.on('message', (data) => {
    const message = JSON.parse(data)
    if (message.type === 'OPENED') console.log(JSON.stringify({ opened: message.data }))
    else { last = message.data.sequence; console.log(JSON.stringify({ heard: last })) }
  })
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(connect, 50))
}
connect()
