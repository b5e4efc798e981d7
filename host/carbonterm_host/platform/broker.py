"""The platform's other face: requests of terminals over a broker of MQTT, answered by the intake that HTTPS has too.

Nothing is kept between two connections, on neither side: a terminal asks again until it has its answer, and the intake
takes the same bytes twice. So a broker or a platform that is killed loses nothing, and nothing comes twice. Who may
publish and subscribe is the broker's affair; what counts is signed.
"""

import ssl
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from carbonterm.errors import UplinkError
from carbonterm.uplink import topics
from carbonterm.uplink.message import MAX_BATCH, Question, Refusal, is_question
from carbonterm_host.screen import say

THREADS = 4
WAITING = 64  # requests that are taken and not answered yet; the next one waits in the broker
KEEP_ALIVE_S = 60
LONGEST_PAUSE_S = 30


class Broker:
    """Serves `intake` over the broker at host and port, with an SSLContext or None. login: (user, password) or None.
    `start()`, `stop()`; a broker that is away is tried again for ever, and stderr says how it stands."""

    def __init__(self, intake, host, port, prefix, context=None, login=None):
        self._intake = intake
        self._prefix = prefix
        self._where = f"{host}:{port}"
        self._said = None
        self._stopping = False
        self._room = threading.BoundedSemaphore(WAITING)
        self._pool = ThreadPoolExecutor(THREADS, "mqtt")
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, f"carbonterm-platform-{intake.signer.public.hex()[:8]}", True
        )
        client.max_queued_messages_set(1000)
        client.reconnect_delay_set(1, LONGEST_PAUSE_S)
        if context is not None:
            client.tls_set_context(context)
        if login is not None:
            client.username_pw_set(*login)
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.connect_async(host, port, KEEP_ALIVE_S)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """Ends it; what was asked meanwhile is answered first."""
        self._stopping = True
        self._pool.shutdown(wait=True)
        self._client.disconnect()
        self._thread.join(10)

    def _run(self):
        while not self._stopping:
            try:
                self._client.loop_forever(retry_first_connection=True)
            except Exception as error:  # a broker that sends what is no MQTT must not end the thread
                self._tell(f"{type(error).__name__}: {error}", "异常")
                time.sleep(1)

    def _connected(self, client, userdata, flags, reason, properties):
        if reason.is_failure:
            self._tell(f"refuses: {reason}", f"拒绝：{reason}")
        else:
            client.subscribe(topics.up(self._prefix, "+"), 1)

    def _subscribed(self, client, userdata, mid, reasons, properties):
        if any(reason.is_failure for reason in reasons):
            self._tell(f"does not let us hear {topics.up(self._prefix, '+')}", "不允许订阅")
        else:
            self._tell(f"listening on {topics.up(self._prefix, '+')}", "已订阅")

    def _failed(self, client, userdata):
        error = sys.exc_info()[1]
        self._tell(f"not reachable: {error}" if error else "not reachable", "无法连接")

    def _disconnected(self, client, userdata, flags, reason, properties):
        if not self._stopping:
            self._tell(f"connection ended: {reason}", "连接中断")

    def _tell(self, english, chinese):
        if english != self._said:
            self._said = english
            print(say(f"broker {self._where}: {english}", f"MQTT 代理 {self._where}：{chinese}（{english}）"),
                  file=sys.stderr, flush=True)  # fmt: skip

    def _message(self, client, userdata, message: MQTTMessage):
        try:
            found = topics.asked(self._prefix, message.topic)
        except UnicodeDecodeError:
            return
        if found is None or message.retain:
            return
        self._room.acquire()
        try:
            self._pool.submit(self._answer, *found, bytes(message.payload))
        except RuntimeError:  # it is being stopped
            self._room.release()

    def _answer(self, terminal_id, request, body):
        try:
            answer = answer_to(self._intake, terminal_id, body)
            self._client.publish(topics.down(self._prefix, terminal_id, request), answer, 1)
        except Exception:  # no answer: it is asked again
            traceback.print_exc()
        finally:
            self._room.release()


def answer_to(intake, terminal_id, body):
    """Bytes of the receipt or refusal to what a terminal published."""
    if len(body) > MAX_BATCH:
        return Refusal("too-large", f"a batch has at most {MAX_BATCH} bytes").encode()
    if not is_question(body):
        return intake.post(terminal_id, body)[1]
    try:
        question = Question.decode(body)
    except UplinkError as error:
        return Refusal("malformed", error.what).encode()
    if question.terminal_id != terminal_id:
        return Refusal("malformed", "the question is of another terminal than its topic").encode()
    return intake.get(terminal_id, question.epoch)[1]


def context(ca, certificate=None, key=None):
    """A TLS context for a broker: trusts the CA in a PEM file (None: the system's), proves with certificate and key."""
    made = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        made.load_cert_chain(certificate, key)
    return made
