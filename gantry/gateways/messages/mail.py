"""Hands an email to a mail server, and says how far it came: taken by the server, which proves no delivery."""

import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

ANSWER_S = 20.0


@dataclass(frozen=True, slots=True)
class MailServer:
    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls: bool = True
    answer_s: float = ANSWER_S


class NotTaken(Exception):
    """The server did not take it: at which step, and whether it will say the same again."""

    def __init__(self, phase: str, reason: str, *, for_good: bool = False) -> None:
        self.phase, self.reason, self.for_good = phase, reason, for_good
        super().__init__(f"{phase}: {reason}")


def letter(
    server: MailServer, *, to: str, subject: str, body: str, reference: str, written_at: datetime
) -> EmailMessage:
    """The same bytes at every try, under one Message-ID: a second copy is known for what it is."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = server.sender
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(written_at)
    mail["Message-ID"] = f"<{reference}@{server.sender.rpartition('@')[2] or 'localhost'}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body + "\n")
    return mail


def post(server: MailServer, mail: EmailMessage) -> str:
    """The server's code once it has the whole of it. Raises NotTaken."""
    line = smtplib.SMTP(timeout=server.answer_s)
    phase = "connect"
    try:
        code, _ = line.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPResponseException(code, b"")
        phase = "greeting"
        line.ehlo_or_helo_if_needed()
        if server.tls:
            phase = "encryption"
            line.starttls(context=ssl.create_default_context())
        if server.user:
            phase = "sign-in"
            line.login(server.user, server.password)
        phase = "message"
        line.send_message(mail)
    except smtplib.SMTPResponseException as refused:
        raise NotTaken(phase, str(refused.smtp_code), for_good=500 <= refused.smtp_code < 600) from None
    except smtplib.SMTPRecipientsRefused as refused:
        code = max((said[0] for said in refused.recipients.values()), default=0)
        raise NotTaken("recipient", str(code), for_good=500 <= code < 600) from None
    except smtplib.SMTPNotSupportedError:
        raise NotTaken(phase, "not supported", for_good=True) from None
    except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as failure:
        # Its words may hold the address.
        raise NotTaken(phase, type(failure).__name__) from None
    finally:
        line.close()
    return "250"
