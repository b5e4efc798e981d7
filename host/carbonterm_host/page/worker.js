// Runs in a web worker behind MicroPython's own module text: loads the core once, then verifies each file it is sent.
// Messages in: {bytes, anchors}; anchors: {operators, keys, centres: hex digits, heads: texts of checkpoints, at_ms}.
// Messages out: {ready}, {done, of, what}, {report}, {error}.
const RUN = `
import sys
if "/lib" not in sys.path:
    sys.path.append("/lib")
import js, json
from carbonterm.errors import CarbonError
from carbonterm.ledger import entry, proof
from carbonterm.pipeline import Replay
from carbonterm_host import single_proof
from carbonterm_host.verifier import Verifier

class Watched:
    """A file that says how far it was read."""
    def __init__(self, file, size):
        self.file, self.size, self.at, self.told = file, size, 0, 0
    def read(self, count):
        data = self.file.read(count)
        self.at += len(data)
        if self.at - self.told > 2000:
            self.told = self.at
            js.tell(self.at, self.size, "verify")
        return data

class Folded(Verifier):
    """The verifier, which also recomputes the log's figures from its readings."""
    def __init__(self, anchors):
        Verifier.__init__(self, anchors["keys"], operators=anchors["operators"], witnesses=anchors["centres"],
                          heads=anchors["heads"], at_ms=anchors["at_ms"])
        self.fold, self.wrong = Replay(), None
    def _entry(self, raw, *rest):
        Verifier._entry(self, raw, *rest)
        if self.wrong is None:
            try:
                self.wrong = self.fold.entry(entry.decode(raw))
            except CarbonError as error:
                self.wrong = str(error)

def bundle(size, anchors):
    one = Folded(anchors)
    with open("/given", "rb") as file:
        one.read(Watched(file, size))
    report = one.report()
    report["replayed"] = one.wrong is None
    report["difference"] = one.wrong
    report["compared"] = one.fold.compared
    report["totals"] = totals(one.fold.pipeline) if report["ok"] and one.wrong is None else []
    report["creator"] = one.creator
    report["epochs"] = [[epoch, one.sizes[epoch]] for epoch in sorted(one.sizes)]
    return report

def totals(pipeline):
    rows, sums = [], {}
    if pipeline.site is None:
        return rows
    for index, source in enumerate(pipeline.site.sources):
        value = pipeline.emitted(index)
        rows.append([source.name, source.scope(), None if value is None else str(value.round(6))])
        if value is not None:
            scope = source.scope()
            sums[scope] = sums[scope] + value if scope in sums else value
    for scope in sorted(sums):
        rows.append([None, scope, str(sums[scope].round(6))])
    return rows

def given(size, anchors):
    with open("/given", "rb") as file:
        begin = file.read(64)
        if proof.is_proof(begin):
            data = begin + file.read(proof.MAX_PROOF)
            return single_proof.report(data, anchors["keys"], anchors["operators"], anchors["centres"], anchors["heads"])
    return bundle(size, anchors)

anchors = json.loads(js.given_anchors)
for name in ("operators", "keys", "centres"):
    anchors[name] = [bytes.fromhex(text) for text in anchors[name]]
try:
    js.answer(json.dumps(given(js.given_size, anchors)))
except CarbonError as error:  # a checkpoint of the reader's that is none
    js.complain(str(error))
`;

let machine = null;

async function load() {
  const wasm = Uint8Array.from(atob(WASM), (c) => c.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([wasm], { type: "application/wasm" }));
  machine = await loadMicroPython({ url, heapsize: 48 * 1024 * 1024, stdout: () => {}, stderr: () => {} });
  for (const path of ["/lib", ...FOLDERS]) machine.FS.mkdir(path);
  for (const [path, text] of Object.entries(FILES)) machine.FS.writeFile(path, text);
  self.tell = (done, of, what) => self.postMessage({ done, of, what });
  self.answer = (text) => self.postMessage({ report: JSON.parse(text) });
  self.complain = (text) => self.postMessage({ error: text });
  self.postMessage({ ready: true });
}

const loading = load().catch((error) => self.postMessage({ error: String(error) }));

self.onmessage = async (event) => {
  await loading;
  try {
    machine.FS.writeFile("/given", event.data.bytes);
    self.given_size = event.data.bytes.length;
    self.given_anchors = JSON.stringify(event.data.anchors);
    machine.runPython(RUN);
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
