// The browser's EventSource as npm has it: it comes back by itself, with the id that it saw last.
import { EventSource } from 'eventsource'
const source = new EventSource(process.argv[2])
source.addEventListener('opened', (event) => console.log(JSON.stringify({ opened: JSON.parse(event.data) })))
source.addEventListener('new_message', (event) => console.log(JSON.stringify({ heard: JSON.parse(event.data).sequence })))
