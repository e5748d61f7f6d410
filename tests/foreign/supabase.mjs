// What an application does with @supabase/supabase-js: each answer on a line.
import { createClient } from '@supabase/supabase-js'
import ws from 'ws'

const [url, key, email, password, vsn] = process.argv.slice(2)
const client = createClient(url, key, { realtime: { transport: ws, vsn } })
const tell = (what, answer) => console.log(JSON.stringify({ what, ...answer }))
const told = ({ error, status, count, data }) => ({ error: error?.message ?? null, status, count, data })

const wrong = await client.auth.signInWithPassword({ email, password: 'another' })
tell('wrong password', { error: wrong.error?.message ?? null })
const session = await client.auth.signInWithPassword({ email, password })
tell('login', { error: session.error?.message ?? null, email: session.data.user?.email })

const heard = []
const join = (name, wanted) => new Promise((resolve) => {
  let channel = client.channel(name)
  for (const each of wanted) {
    channel = channel.on('postgres_changes', each, (change) => heard.push({ name, table: change.table, type: change.eventType, row: change.new }))
  }
  channel.subscribe((status, error) => { if (status !== 'CLOSED') resolve({ status, error: error?.message ?? null }) })
})
const conversations = await client.from('conversations').select('*').order('last_message_at', { ascending: false }).limit(50)
tell('list', told(conversations))
const id = conversations.data[0].id
const other = conversations.data[1].id
tell('joined', await join('all', [{ event: '*', schema: 'public', table: 'messages' }, { event: 'UPDATE', schema: 'public', table: 'conversations' }]))
tell('joined one', await join('one', [{ event: 'INSERT', schema: 'public', table: 'messages', filter: `conversation_id=eq.${other}` }]))
tell('no such table', await join('none', [{ event: '*', schema: 'public', table: 'wallets' }]))
tell('counted', told(await client.from('conversations').select('*', { count: 'exact', head: true })))
tell('count', told(await client.from('conversations').select('count')))
tell('messages', told(await client.from('messages').select('*').eq('conversation_id', id).order('created_at', { ascending: false }).limit(50)))
const sent = await client.functions.invoke('whatsapp-send', { body: { to: '+15550100', message: 'Hello', conversation_id: id } })
tell('sent', { error: sent.error?.message ?? null, data: sent.data })
const refused = await client.functions.invoke('whatsapp-send', { body: { to: '+15550100', conversation_id: id } })
tell('refused', { status: refused.error?.context?.status })
const file = await client.storage.from('customer_media').upload(`${id}/file`, new Uint8Array(1_000), { contentType: 'application/pdf' })
tell('uploaded', { error: file.error?.message ?? null, data: file.data })
const until = Date.now() + 20_000
while (!(heard.some((each) => each.table === 'messages') && heard.some((each) => each.table === 'conversations')) && Date.now() < until) {
  await new Promise((resolve) => setTimeout(resolve, 20))
}
tell('heard', { heard })
await client.removeAllChannels()
process.exit(0)
