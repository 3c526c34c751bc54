"""An XMPP client (slixmpp) that says what it is told to, for a stranger whose letters a test makes.

Usage: relay.py HOST PORT JID PASSWORD CA. Commands are JSON lines: {"fetch": JID} asks for a key bundle,
{"publish": BASE64} publishes one of its own, {"send": JID, "times": N, "sealed": BASE64} sends a letter so often, with
the letter's number for each {} in the address. It prints JSON lines: {"online": true}, {"bundle": BASE64 or null},
{"published": true}, {"sent": true} once the server has them, {"letter": BASE64, "from": JID}, {"presence": TYPE, "from": JID}.
"""

import asyncio
import json
import os
import sys

import slixmpp
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

host, port, jid, password, ca = sys.argv[1:]
SHUNT = "{urn:shunt:1}"
PUBSUB = "http://jabber.org/protocol/pubsub"


def tell(**what):
    print(json.dumps(what), flush=True)


class Relay(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        self.ca_certs = ca
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", self.start)
        # Not the event "message", which tells only of those with a body.
        self.register_handler(Callback("letters", MatchXPath("{jabber:client}message"), self.letter))
        self.add_event_handler("presence", self.presence)
        self.add_event_handler("disconnected", lambda _: os._exit(1))

    def letter(self, message):
        sealed = message.xml.find(SHUNT + "sealed")
        if sealed is not None:
            tell(letter=sealed.text, **{"from": message["from"].bare})

    def presence(self, presence):
        # The server reflects our own.
        if presence["from"].bare != self.boundjid.bare:
            tell(presence=presence["type"], **{"from": presence["from"].bare})

    async def start(self, _event):
        self.send_presence()
        # Once this is answered, the server takes us for present.
        await self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=60)
        tell(online=True)
        # Nobody else holds it, nor the task that waits for it: the garbage collector would end both.
        self.commands = asyncio.StreamReader()
        await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self.commands), sys.stdin)
        while line := await self.commands.readline():
            command = json.loads(line)
            if "fetch" in command:
                await self.fetch(command["fetch"])
            elif "publish" in command:
                await self.publish(command["publish"])
            else:
                for nth in range(command["times"]):
                    to = command["send"].format(nth)
                    self.send_raw(f"<message type='headline' to='{to}'><sealed xmlns='urn:shunt:1'>{command['sealed']}</sealed></message>")
                await self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=60)
                tell(sent=True)
        os._exit(0)

    async def publish(self, bundle):
        iq = self.make_iq_set()
        pubsub = ET.SubElement(iq.xml, f"{{{PUBSUB}}}pubsub")
        publish = ET.SubElement(pubsub, f"{{{PUBSUB}}}publish", node="urn:shunt:1:keys:0")
        item = ET.SubElement(publish, f"{{{PUBSUB}}}item", id="current")
        ET.SubElement(item, SHUNT + "bundle").text = bundle
        options = ET.SubElement(ET.SubElement(pubsub, f"{{{PUBSUB}}}publish-options"), "{jabber:x:data}x", type="submit")
        for name, value in (("FORM_TYPE", f"{PUBSUB}#publish-options"), ("pubsub#access_model", "open")):
            ET.SubElement(ET.SubElement(options, "{jabber:x:data}field", var=name), "{jabber:x:data}value").text = value
        await iq.send(timeout=60)
        tell(published=True)

    async def fetch(self, whose):
        iq = self.make_iq_get(ito=whose)
        pubsub = ET.SubElement(iq.xml, f"{{{PUBSUB}}}pubsub")
        ET.SubElement(pubsub, f"{{{PUBSUB}}}items", node="urn:shunt:1:keys:0", max_items="1")
        answer = await iq.send(timeout=60)
        bundle = answer.xml.find(f".//{SHUNT}bundle")
        tell(bundle=None if bundle is None else bundle.text)


client = Relay()
client.connect(address=(host, int(port)), use_ssl=True)
client.process(forever=True)
