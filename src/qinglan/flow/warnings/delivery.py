"""Orders sent out by e-mail and webhook, beside the console; each attempt is written down with its order.

``channels.yaml`` of the workspace says how; secrets stay outside it (environment). What was sent is not sent
again; what failed is tried again, five times at most. A server that dies between sending and writing down sends
once more: better twice than not at all.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import smtplib
from collections.abc import Callable, Mapping
from datetime import datetime
from email.message import EmailMessage
from typing import Any

import httpx
import orjson

from qinglan.core.errors import ContentError, UsageError
from qinglan.flow.warnings.orders import in_force
from qinglan.flow.warnings.rules import IN_FORCE, level_name, own_text
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.store import warnings as store

Row = dict[str, Any]
#: Hands a message of a channel over; raises OSError or httpx.HTTPError when it cannot.
Sender = Callable[[Mapping[str, Any], Row], None]
FILE = "channels.yaml"
PASSWORD, SECRET = "QINGLAN_SMTP_PASSWORD", "QINGLAN_WEBHOOK_SECRET"
TRIES = 5
#: Enterprises are written to in Chinese.
LANGUAGE = "zh"
_WAIT = 15.0
_KEYS = {"email": {"host", "sender"}, "webhook": {"url"}}


def channels(workspace: Workspace) -> Mapping[str, Any]:
    """`email` (host, port, starttls, user, sender), `webhook` (url), `addresses` (credit code: e-mail); or none.

    ContentError names what the file has wrong.
    """
    text = own_text(workspace, FILE)
    found = (content.parse(text, FILE) if text else None) or {}
    if not isinstance(found, Mapping) or not all(isinstance(v, Mapping) for v in found.values()):
        raise ContentError(FILE, ["must hold `email`, `webhook` and `addresses`, each with its keys"])
    if not found:
        return {}
    faults = [f"{key} is not known" for key in set(found) - {*_KEYS, "addresses"}]
    for name, needed in _KEYS.items():
        if name in found:
            faults += [f"{name}.{key} is missing" for key in sorted(needed - set(found[name]))]
    if "email" in found and not found.get("addresses"):
        faults.append("addresses is missing: a credit code and an e-mail address each")
    if faults:
        raise ContentError(FILE, faults)
    return dict(found)


def deliver(workspace: Workspace, now: datetime, senders: Mapping[str, Sender] | None = None) -> Row:
    """Send every order that stands and was not sent yet over every channel; how many were and were not."""
    ways = channels(workspace)
    counts = {"sent": 0, "failed": 0, "without_address": 0}
    if not ways:
        return counts
    for warning in store.listed(workspace.registry):
        if warning["state"] not in IN_FORCE:
            continue
        for order in in_force(store.orders(workspace.registry, warning=warning["id"])):
            for channel in _KEYS:
                if channel in ways and _due(order, channel):
                    counts[_send(workspace, ways, channel, order, now, senders or SENDERS)] += 1
    return counts


def _due(order: Row, channel: str) -> bool:
    tried = [r["kind"] for r in order["replies"] if r["line"] == channel]
    return "sent" not in tried and tried.count("unsent") < TRIES


def _send(
    workspace: Workspace,
    ways: Mapping[str, Any],
    channel: str,
    order: Row,
    now: datetime,
    senders: Mapping[str, Sender],
) -> str:
    """Try once and write it down; sent, failed or without_address."""
    to = str(ways.get("addresses", {}).get(order["uscc"], "")) if channel == "email" else ways["webhook"]["url"]
    if not to:
        return "without_address"
    kind, note = "sent", to
    try:
        senders[channel](ways[channel], {**message_of(workspace, order), "to": to})
    except (OSError, httpx.HTTPError, UsageError) as fault:
        kind, note = "unsent", f"{type(fault).__name__}: {fault}"[:300]
    row = {"kind": kind, "line": channel, "cut": None, "note": note}
    store.reply(workspace.registry, order["id"], row, lambda found: None, who="delivery", at=now)
    return "sent" if kind == "sent" else "failed"


def message_of(workspace: Workspace, order: Row) -> Row:
    """An order as a message: `subject`, `text` and its data."""
    texts = content.read("episode", "texts")[LANGUAGE]
    named = {"level": level_name(order["level"], LANGUAGE), "place": workspace.named(order["place"])["name"]}
    lines = [
        texts["order.line"].format(line=x["line"], number=x["line_no"], cut=f"{x['cut']:g}")
        + (texts["order.hours"].format(hours=f"{x['lead_hours']:g}") if x["lead_hours"] else "")
        for x in order["lines"]
    ]
    keys = ("id", "warning", "uscc", "enterprise", "place", "level", "lines")
    data = {k: order[k] for k in keys} | {"at": order["at"].isoformat()}
    return {
        "subject": texts["order.subject"].format(warning=order["warning"], **named),
        "text": texts["order.text"].format(enterprise=order["enterprise"], lines="\n".join(lines), **named),
        "data": data,
    }


def send_email(way: Mapping[str, Any], message: Row) -> None:
    """By SMTP, with STARTTLS unless the channel says no; the password from the environment."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message["subject"], way["sender"], message["to"]
    mail.set_content(message["text"])
    with smtplib.SMTP(way["host"], int(way.get("port", 587)), timeout=_WAIT) as server:
        if way.get("starttls", True):
            server.starttls()
        if way.get("user"):
            server.login(way["user"], os.environ.get(PASSWORD, ""))
        server.send_message(mail)


def send_webhook(way: Mapping[str, Any], message: Row) -> None:
    """POST of JSON; ``X-Qinglan-Signature`` is the HMAC-SHA256 of the body when a secret is set."""
    body = orjson.dumps({"subject": message["subject"], "text": message["text"], **message["data"]})
    headers = {"content-type": "application/json"}
    secret = os.environ.get(SECRET, "")
    if secret:
        headers["x-qinglan-signature"] = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    httpx.post(str(way["url"]), content=body, headers=headers, timeout=_WAIT).raise_for_status()


SENDERS: Mapping[str, Sender] = {"email": send_email, "webhook": send_webhook}
