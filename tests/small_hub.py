"""A server on the loopback that answers as Hugging Face's hub does, for folders that tests made."""

import contextlib
import fnmatch
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit


@contextlib.contextmanager
def serve_hub(repositories):
    """Serve {organization/name: folder}; gives the address and the list of what was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = unquote(urlsplit(self.path).path).strip("/")
            asked.append(path)
            for name, folder in repositories.items():
                commit = commit_of(folder)
                if path in (
                    f"api/models/{name}",
                    f"api/models/{name}/revision/main",
                    f"api/models/{name}/revision/{commit}",
                ):
                    return self.send_json(describe(name, folder, commit), body)
                if fnmatch.fnmatch(path, f"api/models/{name}/tree/*"):
                    return self.send_json(list_tree(folder), body)
                for revision in ("main", commit):
                    file = folder / path.removeprefix(f"{name}/resolve/{revision}/")
                    if path.startswith(f"{name}/resolve/{revision}/") and file.is_file():
                        return self.send(file.read_bytes(), body, commit)
            known = any(f"/{name}/" in f"/{path}/" for name in repositories)
            code = "EntryNotFound" if known and "/resolve/" in path else "RevisionNotFound" if known else "RepoNotFound"
            return self.send_json({"error": code}, body, status=404, code=code)

        def send_json(self, value, body, status=200, code=None):
            self.send(json.dumps(value).encode(), body, None, status, code)

        def send(self, content, body, commit, status=200, code=None):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            if commit:
                self.send_header("X-Repo-Commit", commit)
            if code:
                self.send_header("X-Error-Code", code)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def commit_of(folder):
    return hashlib.sha1(str(folder).encode()).hexdigest()


def names_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def describe(name, folder, commit):
    siblings = [{"rfilename": file} for file in names_of(folder)]
    return {"id": name, "modelId": name, "sha": commit, "private": False, "siblings": siblings, "tags": []}


def list_tree(folder):
    return [{"type": "file", "path": name, "size": 1, "oid": "0"} for name in names_of(folder)]
