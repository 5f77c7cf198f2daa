"""The Secrets Store CSI driver: which objects a SecretProviderClass pins, and whether the driver rotates.

A SecretProviderClass has no field for rotation: the driver rotates for all of them, by its flag
`--enable-secret-rotation`, and mounts what the providers answer, so that a version in `parameters.objects`
keeps it at that version.
https://secrets-store-csi-driver.sigs.k8s.io/topics/secret-auto-rotation
https://azure.github.io/secrets-store-csi-driver-provider-azure/docs/getting-started/usage/
https://github.com/GoogleCloudPlatform/secrets-store-csi-driver-provider-gcp
https://docs.aws.amazon.com/secretsmanager/latest/userguide/integrating_csi_driver.html
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.manifest.workload import Container, Workload

SECRET_PROVIDER_CLASS = "SecretProviderClass.secrets-store.csi.x-k8s.io"  # noqa: S105 - a kind

_FLAG = "enable-secret-rotation"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Go's strconv.ParseBool reads as true."""


def pinned_version(objects: str) -> str | None:
    """Return the first version that the text `spec.parameters.objects` pins an object to, or None.

    Azure and AWS have a line `objectVersion: "..."`, Google a name that ends in `/versions/<number>`; the
    newest version is an empty one, or `latest`.
    """
    for line in objects.splitlines():
        key, _, value = line.strip().removeprefix("- ").strip("\"'{ ").partition(":")
        found = value.partition(" #")[0].strip(" ,}\"'")
        key = key.strip("\"' ")
        if key == "objectVersion" and found and found[0] != "#" and found.lower() != "latest":
            return found
        if key == "resourceName":
            number = found.rpartition("/versions/")[2]
            if number.isdigit():
                return number
    return None


def driver_container(workload: Workload) -> Container | None:
    """Return the container of the driver's node plugin, or None where a workload has none."""
    if workload.kind_id != "DaemonSet.apps":
        return None
    for container in workload.containers:
        if container.name == "secrets-store" and any(
            text(argument).lstrip("-").startswith("endpoint")
            for argument in arguments_of(container)
        ):
            return container
    return None


def rotation_flag(container: Container) -> tuple[bool, str]:
    """Tell whether the driver's arguments turn rotation on, and where they say so or would."""
    found = (False, f"{container.pointer}/args")
    for field in ("command", "args"):
        for index, argument in enumerate(sequence(container.spec.get(field))):
            name, equals, value = text(argument).partition("=")
            # Of flags that repeat, the last one counts.
            if name in (f"--{_FLAG}", f"-{_FLAG}"):
                found = (not equals or value in _TRUE, f"{container.pointer}/{field}/{index}")
    return found


def arguments_of(container: Container) -> list[object]:
    """Return a container's command and arguments as one list."""
    return [*sequence(container.spec.get("command")), *sequence(container.spec.get("args"))]
