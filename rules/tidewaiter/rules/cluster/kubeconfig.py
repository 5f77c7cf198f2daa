"""kubeconfig files: merged as kubectl merges them, and each mistake at its line.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ says what is in one,
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ how several are merged: the
first file that names a cluster, user, context or the current context has the word, whole entry by whole entry.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from tidewaiter.rules.errors import ClusterError, InputError
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.names import nearest_name

_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One cluster, user or context: its fields, and where they stand."""

    fields: dict[str, Any] = field(repr=False)
    file: str
    pointer: str
    source: _Source = field(repr=False)

    def text(self, name: str) -> str:
        """Return a field that holds a string, empty where it is absent."""
        value = self.fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.error(f"{name} must be a string", name)
        return value

    def flag(self, name: str) -> bool:
        """Return a field that holds true or false, false where it is absent."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.error(f"{name} must be true or false", name)
        return bool(value)

    def texts(self, name: str) -> list[str]:
        """Return a field that holds a list of strings."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.error(f"{name} must be a list of strings", name)
        return value

    def below(self, name: str) -> Entry | None:
        """Return a field that holds fields of its own, None where it is absent."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(f"{name} must be a mapping", name)
        return Entry(value, self.file, f"{self.pointer}/{name}", self.source)

    def path(self, name: str) -> str:
        """Return a field that holds a path, which counts from the kubeconfig's own folder."""
        stated = self.text(name)
        return os.path.join(os.path.dirname(os.path.abspath(self.file)), stated) if stated else ""

    def error(self, message: str, name: str = "") -> ClusterError:
        """Return a mistake in the entry, or in one of its fields."""
        return self.source.error(message, f"{self.pointer}/{name}" if name else self.pointer)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a context stands for."""

    name: str
    cluster: Entry
    user: Entry | None
    namespace: str


def kubeconfig_files(stated: str | None = None) -> list[str]:
    """Return the files to merge: the stated one, those of $KUBECONFIG, or the one in the home folder.

    Those of $KUBECONFIG and the home folder need not exist; the stated one must, and to read it tells.
    """
    if stated:
        return [stated]
    listed = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    found = listed or [os.path.join(os.path.expanduser("~"), ".kube", "config")]
    return [path for path in dict.fromkeys(found) if os.path.exists(path)]


def choose(files: list[str], context: str | None = None) -> Chosen:
    """Merge the files and return the cluster and the user of a context, the current one by default.

    Raises ClusterError for each mistake, with its file and line.
    """
    sources = [_read(path) for path in files]
    merged: dict[str, dict[str, Entry]] = {name: {} for name in _LISTS}
    for source in sources:
        for name in _LISTS:
            merged[name] = {**source.named(name), **merged[name]}
    name = context or next((each.current for each in sources if each.current), "")
    first = files[0]
    if not name:
        hint = _listed(merged["contexts"])
        msg = f"the kubeconfig has no current-context; name one with --context{hint}"
        raise ClusterError(msg, file=first)
    found = merged["contexts"].get(name)
    if found is None:
        near = nearest_name(name, merged["contexts"])
        hint = f"; did you mean {near!r}?" if near else _listed(merged["contexts"])
        msg = f"the kubeconfig has no context {name!r}{hint}"
        raise ClusterError(msg, file=first)
    cluster_name, user_name = found.text("cluster"), found.text("user")
    cluster = merged["clusters"].get(cluster_name)
    if cluster is None:
        raise found.error(f"there is no cluster {cluster_name!r}", "cluster")
    user = merged["users"].get(user_name)
    if user is None and user_name:
        raise found.error(f"there is no user {user_name!r}", "user")
    return Chosen(name, cluster, user, found.text("namespace"))


def _listed(contexts: dict[str, Entry]) -> str:
    return f"; there are {', '.join(map(repr, contexts))}" if contexts else ""


class _Source:
    """One file."""

    def __init__(self, file: str, data: bytes, value: dict[str, Any], document: int) -> None:
        self.file = file
        self._data = data
        self._value = value
        self._document = document

    def error(self, message: str, pointer: str = "") -> ClusterError:
        span = Locator(self._data).document(self._document).at(pointer)
        return ClusterError(
            message, file=self.file, line=span.line, column=span.column, pointer=pointer
        )

    @property
    def current(self) -> str:
        found = self._value.get("current-context")
        if found is not None and not isinstance(found, str):
            raise self.error("current-context must be a string", "/current-context")
        return found or ""

    def named(self, name: str) -> dict[str, Entry]:
        """Return the entries of one of the three lists by their names."""
        rows = self._value.get(name)
        if rows is None:
            return {}
        if not isinstance(rows, list):
            raise self.error(f"{name} must be a list", f"/{name}")
        found: dict[str, Entry] = {}
        for index, row in enumerate(rows):
            pointer = f"/{name}/{index}"
            if not isinstance(row, dict) or not isinstance(row.get("name"), str):
                raise self.error(f"each of {name} must be a mapping with a name", pointer)
            if row["name"] in found:
                raise self.error(f"{name} has {row['name']!r} twice", pointer)
            below = row.get(_LISTS[name])
            if below is not None and not isinstance(below, dict):
                raise self.error(f"{_LISTS[name]} must be a mapping", f"{pointer}/{_LISTS[name]}")
            found[row["name"]] = Entry(below or {}, self.file, f"{pointer}/{_LISTS[name]}", self)
        return found


def _read(path: str) -> _Source:
    try:
        data = read_file(path)
    except InputError as error:
        raise ClusterError(f"the kubeconfig cannot be read: {error.message}", file=path) from error
    loaded = load_documents(data, path)
    for problem in loaded.errors:
        raise ClusterError(
            f"the kubeconfig cannot be read: {problem.message}",
            file=path,
            line=problem.line,
            column=problem.column,
        ) from problem
    documents = [each for each in loaded.documents if each.value is not None]
    if not documents:
        return _Source(path, data, {}, 0)
    if len(documents) > 1:
        msg = "a kubeconfig is one document"
        raise ClusterError(msg, file=path, line=documents[1].line, column=1)
    only = documents[0]
    if not isinstance(only.value, dict):
        raise ClusterError("the kubeconfig is no mapping", file=path, line=only.line, column=1)
    source = _Source(path, data, only.value, only.index)
    kind, version = only.value.get("kind", "Config"), only.value.get("apiVersion", "v1")
    if kind != "Config" or version != "v1":
        raise source.error("this is no kubeconfig: it must have apiVersion v1 and kind Config")
    return source
