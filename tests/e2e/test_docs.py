"""The commands that the documentation has for a cluster, run against an API server."""

from __future__ import annotations

import json
from pathlib import Path

from tests.docs.sessions import IN_CLUSTER, PAGES, commands, environment, run, sandbox
from tests.e2e.api_server import ApiServer


def test_the_commands_of_the_documentation_for_a_cluster_run(
    api_server: ApiServer, tmp_path: Path
) -> None:
    content = json.loads(api_server.kubeconfig.read_text(encoding="utf-8"))
    context = content["contexts"][0]["context"]
    content["contexts"] += [
        {"name": name, "context": context} for name in ("staging", "production")
    ]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(content), encoding="utf-8")
    home = sandbox(tmp_path)
    variables = environment(tmp_path, KUBECONFIG=str(kubeconfig))
    # Other tests of this server may have made it before.
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "payments"}}
    api_server.admin.apply(namespace)
    for page in PAGES:
        wanted = [
            each for each in commands(page.read_text(encoding="utf-8")) if each.mark == IN_CLUSTER
        ]
        if wanted:
            for command, done in zip(wanted, run(page, wanted, home, variables), strict=True):
                assert done.code in {0, 1}, f"{page.name}:{command.line}: {done.output}"
