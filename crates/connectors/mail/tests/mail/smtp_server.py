"""A real SMTP server for the tests, from Debian's python3-aiosmtpd.

Prints `ready PORT` when it listens, stores every message it takes as N.eml and N.json in its folder, and ends
when its standard input is closed. What it does with a recipient is in the recipient's name:

  rcpt-CODE@...    refuses the recipient with CODE
  data-CODE@...    refuses the message with CODE
  hangup@...       takes the message, stores it and closes the connection without an answer
  silent@...       takes the message, stores it and never answers
  last@...         answers, and closes the connection at the next NOOP
"""

import argparse
import asyncio
import base64
import json
import logging
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, auth_mechanism

# It warns that logging in without TLS is unsafe, which is what some tests are about.
logging.getLogger("mail.log").setLevel(logging.ERROR)

TEXTS = {
    "421": "4.3.2 closing",
    "450": "4.2.0 greylisted",
    "451": "4.3.0 not now",
    "550": "5.1.1 no such user",
    "554": "5.6.0 refused",
}


class Handler:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name.startswith("rcpt-"):
            code = name[5:8]
            return f"{code} {TEXTS[code]}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        names = [address.split("@")[0] for address in envelope.rcpt_tos]
        for name in names:
            if name.startswith("data-"):
                code = name[5:8]
                return f"{code} {TEXTS[code]}"
        self.count += 1
        facts = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "options": envelope.mail_options,
            "tls": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
            "login": str(session.auth_data) if session.authenticated else None,
            "hello": session.host_name,
            "peer": session.peer[1],
        }
        (self.folder / f"{self.count}.eml").write_bytes(envelope.content)
        (self.folder / f"{self.count}.json").write_text(json.dumps(facts))
        if "hangup" in names:
            server.transport.abort()
        if "silent" in names:
            await asyncio.Event().wait()
        if "last" in names:
            session.last = True
        return f"250 OK: queued as {self.count}"

    async def handle_NOOP(self, server, session, envelope, argument):
        if getattr(session, "last", False):
            server.transport.abort()
        return "250 OK"

    @auth_mechanism("XOAUTH2")
    async def auth_XOAUTH2(self, server, args):
        said = base64.b64decode(args[1])
        good = said == b"user=shop\x01auth=Bearer a-token\x01\x01"
        return AuthResult(success=good, handled=good, auth_data="xoauth2")


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.login == b"shop" and data.password == b"a-password"
    return AuthResult(success=good, handled=False, auth_data=mechanism)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--security", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--auth", default="", help="the mechanisms to offer, with commas between")
    options = parser.parse_args()
    context = None
    if options.security != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.folder / "cert.pem", options.folder / "key.pem")
    offered = [name for name in options.auth.split(",") if name]
    handler = Handler(options.folder)

    def make():
        return SMTP(
            handler,
            hostname="mail.test",
            enable_SMTPUTF8=True,
            tls_context=context if options.security == "starttls" else None,
            require_starttls=options.security == "starttls",
            authenticator=authenticate,
            auth_required=bool(offered),
            auth_require_tls=False,
            auth_exclude_mechanism=[name for name in ("PLAIN", "LOGIN", "XOAUTH2") if name not in offered],
            loop=asyncio.get_running_loop(),
        )

    implicit = context if options.security == "tls" else None
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=implicit)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
