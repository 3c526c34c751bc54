"""A stranger with an account of its own, who sends a phone everything that is well-formed and wrong.

Usage: stranger.py HOST PORT JID PASSWORD CA TARGET. Prints one line `answered: …` for each message or presence that the
target sends back, and `done N` when the server has taken all N stanzas.
"""

import asyncio
import base64
import os
import sys
from xml.sax.saxutils import quoteattr

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

host, port, jid, password, ca, target = sys.argv[1:]
NS = "urn:shunt:1"
quoted = quoteattr(target)


def message(kind, inside):
    return f"<message type='{kind}' to={quoted} id='{os.urandom(4).hex()}'>{inside}</message>"


def sealed(content, ns=NS):
    return f"<sealed xmlns='{ns}'>{content}</sealed>"


def b64(raw):
    return base64.b64encode(raw).decode()


def stanzas():
    envelopes = [bytes([version, suite, kind]) + os.urandom(509) for version in (0, 1, 2, 255) for suite in (0, 1, 9) for kind in (0, 1, 7)]
    for raw in [b"", b"\0", b"\1\1\0", os.urandom(3), os.urandom(511), os.urandom(512), os.urandom(1024), os.urandom(32768)] + envelopes:
        yield message("headline", sealed(b64(raw)))
    for content in ["not base64!", "====", "AAA", "A" * 60000, " \n\t ", "<x/>", "&#x202e;txet", "<sealed xmlns='urn:shunt:1'>AAAA</sealed>"]:
        yield message("headline", sealed(content))
    good = b64(os.urandom(512))
    yield message("headline", sealed(good, "urn:shunt:2"))
    yield message("headline", sealed(good) * 20)
    yield message("headline", f"<body>hello</body>{sealed(good)}<body>again</body>")
    yield message("headline", "<a>" * 400 + sealed(good) + "</a>" * 400)
    for kind in ["chat", "normal", "groupchat", "error", "headline", "nonsense"]:
        yield message(kind, sealed(good))
        yield message(kind, "<body>a plain message</body>")
        yield message(kind, "")
    item = f"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{NS}:keys:0'><item id='x'>{sealed(good)}</item></items></event>"
    yield message("headline", item)
    # Without a roster module ejabberd answers a subscription by ending the asker's own stream: not sent.
    for kind in ["probe", "unavailable", "error"]:
        yield f"<presence type='{kind}' to={quoted}/>"
    yield f"<presence to={quoted}><priority>127</priority><x xmlns='vcard-temp:x:update'/></presence>"
    for query in ["<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:last'/>", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<q xmlns='urn:none'/>"]:
        for kind in ["get", "set"]:
            yield f"<iq type='{kind}' to={quoted} id='{os.urandom(4).hex()}'>{query}</iq>"
    for _ in range(2000):
        yield message("headline", sealed(b64(os.urandom(64))))


class Stranger(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        self.ca_certs = ca
        self.add_event_handler("session_start", self.start)
        # Not the event "message", which tells only of those with a body.
        self.register_handler(Callback("messages", MatchXPath("{jabber:client}message"), self.answered))
        self.add_event_handler("presence", self.answered)
        self.add_event_handler("stream_error", lambda error: print("the server ends it:", error, flush=True))
        self.add_event_handler("disconnected", lambda why: print("disconnected:", why, flush=True))
        self.add_event_handler("failed_all_auth", lambda _: sys.exit("not logged in"))

    def answered(self, stanza):
        # The server bounces some by itself; what it says in the target's name is an error.
        if str(stanza["from"]).split("/")[0] == target and stanza["type"] != "error":
            print("answered:", stanza, flush=True)

    async def start(self, _event):
        print("logged in", flush=True)
        self.send_presence()
        count = 0
        for stanza in stanzas():
            self.send_raw(stanza)
            count += 1
        # Its answer comes when the server has taken all that went before.
        await self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=120)
        print("done", count, flush=True)
        self.disconnect()


client = Stranger()
client.register_plugin("xep_0199")
client.connect(address=(host, int(port)), use_ssl=True)
client.process(forever=False)
