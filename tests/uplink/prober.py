"""An account that tries to find out from the server who is online.

Usage: prober.py HOST PORT JID PASSWORD CA TARGETS. TARGETS is JSON: name to JID, bare or full. Each way of asking is
tried with each target in turn, then a ping; what came before its answer is what the server told. Prints one JSON
object: way to target to list of answers, the target's address replaced by a word.
"""

import asyncio
import json
import os
import re
import sys

import slixmpp

host, port, jid, password, ca, targets = sys.argv[1:]
TARGETS = json.loads(targets)
KEYS = "urn:shunt:1:keys:0"
SEALED = "<sealed xmlns='urn:shunt:1'>AQEAAAAA</sealed>"
CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:probe' ver='NZs5L0eFrDyRcEBJPOQZx1zw8DM='/>"


def iq(to, kind, inside):
    return f"<iq type='{kind}' to='{to}' id='probe'>{inside}</iq>"


def message(to, kind, inside):
    return f"<message type='{kind}' to='{to}' id='probe'>{inside}</message>"


def pubsub(inside):
    return f"<pubsub xmlns='http://jabber.org/protocol/pubsub'>{inside}</pubsub>"


WAYS = {
    "headline": lambda to: message(to, "headline", SEALED),
    "headline-unsealed": lambda to: message(to, "headline", "<body>x</body>"),
    "chat": lambda to: message(to, "chat", "<body>x</body>"),
    "normal": lambda to: message(to, "normal", "<body>x</body>"),
    "receipt-request": lambda to: message(to, "chat", "<body>x</body><request xmlns='urn:xmpp:receipts'/>"),
    "groupchat": lambda to: message(to, "groupchat", "<body>x</body>"),
    "error": lambda to: message(to, "error", "<body>x</body>"),
    "version": lambda to: iq(to, "get", "<query xmlns='jabber:iq:version'/>"),
    "last": lambda to: iq(to, "get", "<query xmlns='jabber:iq:last'/>"),
    "ping": lambda to: iq(to, "get", "<ping xmlns='urn:xmpp:ping'/>"),
    "time": lambda to: iq(to, "get", "<time xmlns='urn:xmpp:time'/>"),
    "disco-info": lambda to: iq(to, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
    "disco-items": lambda to: iq(to, "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
    "vcard": lambda to: iq(to, "get", "<vCard xmlns='vcard-temp'/>"),
    "roster": lambda to: iq(to, "get", "<query xmlns='jabber:iq:roster'/>"),
    "unknown-iq": lambda to: iq(to, "set", "<q xmlns='urn:none'/>"),
    "iq-result": lambda to: iq(to, "result", ""),
    "pep-subscribe": lambda to: iq(to, "set", pubsub(f"<subscribe node='{KEYS}' jid='{jid}'/>")),
    "pep-other-node": lambda to: iq(to, "get", pubsub("<items node='urn:xmpp:avatar:data'/>")),
    "pep-affiliations": lambda to: iq(to, "get", pubsub("<affiliations/>")),
    "presence": lambda to: f"<presence to='{to}'/>",
    "presence-away": lambda to: f"<presence to='{to}'><show>away</show></presence>",
    "presence-caps": lambda to: f"<presence to='{to}'>{CAPS}</presence>",
    "presence-unavailable": lambda to: f"<presence type='unavailable' to='{to}'/>",
    "presence-probe": lambda to: f"<presence type='probe' to='{to}'/>",
    "presence-error": lambda to: f"<presence type='error' to='{to}'/>",
}
# By design: whoever knows the address learns whether it has a bundle, and nothing else.
BUNDLE = lambda to: iq(to, "get", pubsub(f"<items node='{KEYS}' max_items='1'/>"))
# These end the asker's own stream at a server without mod_shunt: each with a connection of its own.
SUBSCRIPTIONS = {kind: (lambda to, kind=kind: f"<presence type='{kind}' to='{to}'/>") for kind in ["subscribe", "subscribed", "unsubscribe"]}


class Prober(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        self.ca_certs = ca
        self.heard = []
        self.add_event_handler("session_start", lambda _: self.started.set_result(None))
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.started = asyncio.get_event_loop().create_future()
        self.ended = asyncio.Event()
        # Everything that comes, as it is on the wire; +notify is what a client that wants PEP items says.
        self.register_handler(slixmpp.xmlstream.handler.Callback("all", slixmpp.xmlstream.matcher.MatchMany([
            slixmpp.xmlstream.matcher.MatchXPath("{jabber:client}" + kind) for kind in ["message", "presence", "iq"]]), self.hear))

    def hear(self, stanza):
        text = str(stanza)
        # Capabilities: a server that wants to know them asks, and hears of our interest in PEP items.
        if "disco#info" in text and stanza["type"] == "get":
            feature = f"<feature var='{KEYS}+notify'/>"
            query = re.search(r"node=[\"']([^\"']*)", text)
            node = f" node='{query.group(1)}'" if query else ""
            self.send_raw(f"<iq type='result' id='{stanza['id']}' to='{stanza['from']}'>"
                          f"<query xmlns='http://jabber.org/protocol/disco#info'{node}>{feature}</query></iq>")
            return
        self.heard.append((str(stanza["from"]), text))

    async def settle(self):
        """All that the server had for us before this is here."""
        for _ in range(2):
            ping = self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=60)
            await asyncio.wait([asyncio.ensure_future(ping), asyncio.ensure_future(self.ended.wait())], return_when=asyncio.FIRST_COMPLETED)

    async def carried(self):
        """The server has routed all that went to other accounts before this: it answers this question after that."""
        barrier = self.make_iq_get(ito=f"nobody-asked@{self.boundjid.domain}")
        barrier.append(slixmpp.xmlstream.ET.fromstring(pubsub(f"<items node='{KEYS}'/>")))
        answer = asyncio.ensure_future(barrier.send(timeout=60))
        await asyncio.wait([answer, asyncio.ensure_future(self.ended.wait())], return_when=asyncio.FIRST_COMPLETED)
        # Refused, of course.
        answer.done() and answer.exception()

    async def ask(self, stanza, target):
        await self.settle()
        self.heard.clear()
        self.send_raw(stanza)
        await self.carried()
        await self.settle()
        bare = target.split("/")[0]
        told = [text.replace(target, "TARGET").replace(bare, "TARGET") for sender, text in self.heard if sender.split("/")[0] == bare]
        if self.ended.is_set():
            told.append("the stream ended")
        # Ids and resources differ by chance, base64 by whose bundle it is.
        return [re.sub(r"[A-Za-z0-9+/=_-]{24,}", "*", re.sub(r"\b(stream|id|xml:lang)=[\"'][^\"']*[\"']", "", text)) for text in sorted(told)]


async def connected():
    client = Prober()
    client.register_plugin("xep_0199")
    client.connect(address=(host, int(port)), use_ssl=True)
    await asyncio.wait_for(client.started, 60)
    client.send_presence()
    return client


async def main():
    told = {}
    client = await connected()
    for way, make in {**WAYS, "bundle": BUNDLE}.items():
        for name, target in TARGETS.items():
            if client.ended.is_set():
                client = await connected()
            told.setdefault(way, {})[name] = await client.ask(make(target), target)
    for kind, make in SUBSCRIPTIONS.items():
        for name, target in TARGETS.items():
            if client.ended.is_set():
                client = await connected()
            told.setdefault(kind, {})[name] = await client.ask(make(target), target)
    print(json.dumps(told))


asyncio.get_event_loop().run_until_complete(main())
