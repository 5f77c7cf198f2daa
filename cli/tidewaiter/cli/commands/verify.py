"""Verify that images are signed, by a key, a certificate authority or an identity, or as the policy asks.

Where nobody is named who may sign, the policy's section `images` says what is asked. With --attestation
what is asked are attestations of these types, and no signature beside them unless --signature is given too. Exit codes: 0 every image is verified; 1 some are refused; 2 of some it could not be
found out (a registry that cannot be reached, a bad key file).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.signatures.authority import (
        Authorities,
        ImageRequirement,
        TextMatch,
        TrustedRoot,
    )
    from tidewaiter.rules.signatures.registry import RegistrySettings

_MODULES = frozenset({"cryptography", "httpcore", "httpx", "nacl", "rfc3161_client", "sigstore"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image, by tag or digest")
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="whose images section holds where nobody is named (default: tidewaiter.yaml here or above)",
    )
    _who(
        parser.add_argument_group("who must have signed (any one of them, where several are named)")
    )
    _what(parser.add_argument_group("what must be signed"))
    _registry(parser.add_argument_group("the registry"))
    add = parser.add_argument
    add("--format", choices=("text", "json"), default="text", help="form of the report")
    add("--output", metavar="FILE", help="write the report there rather than to stdout")
    add("--timeout", type=float, default=30.0, metavar="SECONDS", help="for each image; 30")


def _who(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--key", action="append", metavar="FILE", help="public key (PEM)")
    add("--certificate-chain", metavar="FILE", help="certificates (PEM) of an own authority")
    add("--identity", metavar="SUBJECT", help="the certificate's subject, exactly")
    add("--identity-regexp", metavar="RE", help="a pattern that is found in the subject")
    add("--issuer", metavar="URL", help="who vouched for the identity, exactly")
    add("--issuer-regexp", metavar="RE", help="a pattern that is found in the issuer")
    add(
        "--claim",
        action="append",
        metavar="NAME=VALUE",
        help="what the certificate says of the CI run",
    )
    add(
        "--trusted-root", metavar="FILE", help="Sigstore trust root (JSON); default: the public one"
    )
    add(
        "--timestamp-chain",
        action="append",
        metavar="FILE",
        help="RFC 3161 authority (PEM), demanded",
    )
    add(
        "--tlog",
        choices=("require", "ignore"),
        help="log entry for a key or own authority: required where --trusted-root is given, otherwise "
        "ignored; always required of identities",
    )


def _what(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--attestation",
        action="append",
        metavar="TYPE",
        help="predicate type, or slsaprovenance1, …",
    )
    add("--signature", action="store_true", help="with --attestation: demand a signature as well")
    add(
        "--annotation", action="append", metavar="K=V", help="a signature must have this annotation"
    )
    add(
        "--target",
        choices=("index", "platforms", "either"),
        default="index",
        help="what of a multi-platform image must be signed (default: index)",
    )
    add("--same-reference", action="store_true", help="the signed name must be the image's own")
    add("--signature-repository", metavar="REPOSITORY", help="where signatures are, if elsewhere")


def _registry(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--plain-http", action="store_true", help="no TLS; a loopback registry needs no saying so")
    add("--registry-ca", metavar="FILE", help="further authorities (PEM) for the registry's TLS")
    add(
        "--docker-config", metavar="FILE", help="logins; default: where docker and podman keep them"
    )
    add("--mirror", action="append", metavar="NAME=PLACE", help="ask PLACE before registry NAME")


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the report and return the exit code."""
    try:
        return _run(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _MODULES:
            raise
        from tidewaiter.rules.errors import InputError

        msg = f"{error.name} is not installed; verify needs the extra: pip install 'tidewaiter[signatures]'"
        raise InputError(msg) from None


def _run(arguments: argparse.Namespace) -> int:
    from tidewaiter.cli import verify_output
    from tidewaiter.cli.run.verify import VerifyJob, run_verify
    from tidewaiter.cli.surroundings import write

    _refuse_empty(arguments)
    images = tuple(dict.fromkeys(arguments.images))
    path = _policy_path(arguments)
    if path:
        from tidewaiter.cli.run.verify_by_policy import verify_by_policy

        verdicts = verify_by_policy(
            path,
            images,
            _settings(arguments),
            docker_config=arguments.docker_config or "",
            seconds=_positive(arguments.timeout),
        )
    else:
        job = VerifyJob(
            images=images,
            requirement=_requirement(arguments),
            settings=_settings(arguments),
            docker_config=arguments.docker_config or "",
            timeout=_positive(arguments.timeout),
        )
        verdicts = run_verify(job)
    form = verify_output.json_form if arguments.format == "json" else verify_output.text_form
    write(form(verdicts), arguments.output or "")
    statuses = {verdict.status for verdict in verdicts}
    if "unknown" in statuses or not verdicts:
        return 2
    return 1 if statuses != {"verified"} else 0


def _refuse_empty(arguments: argparse.Namespace) -> None:
    """Refuse an option without a value, as an unset variable leaves it: it must not ask for less."""
    for name, value in vars(arguments).items():
        if name != "images" and (value == "" or (isinstance(value, list) and "" in value)):
            raise _usage(f"{_option(name)} is empty")


_ASKED = (
    "key",
    "certificate_chain",
    "identity",
    "identity_regexp",
    "issuer",
    "issuer_regexp",
    "claim",
    "trusted_root",
)
_BESIDE = (
    "timestamp_chain",
    "tlog",
    "attestation",
    "signature",
    "annotation",
    "same_reference",
    "signature_repository",
)


def _policy_path(arguments: argparse.Namespace) -> str:
    """Return the policy to verify by, empty where the options say who may sign. Raises InputError."""
    import os

    from tidewaiter.rules.policy.discovery import find_policy

    named = [name for name in _ASKED if getattr(arguments, name)]
    if named:
        if arguments.policy:
            raise _usage(f"--policy says who may sign, and so does {_option(named[0])}")
        return ""
    beside = [name for name in _BESIDE if getattr(arguments, name)]
    if beside or arguments.target != "index":
        if arguments.policy:
            raise _usage(f"{_option((*beside, 'target')[0])} is for the policy to say")
        return ""
    return arguments.policy or find_policy(os.getcwd()) or ""


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _requirement(arguments: argparse.Namespace) -> ImageRequirement:
    from tidewaiter.rules.signatures.authority import (
        PREDICATE_TYPES,
        AnyOf,
        AttestationRequirement,
        ImageRequirement,
    )

    authorities = _authorities(arguments)
    if not authorities:
        raise _usage(
            "nobody is named who may sign: give --key, --certificate-chain, or --identity and --issuer, "
            "or a policy with a section images"
        )
    combined: Authorities = authorities[0] if len(authorities) == 1 else AnyOf(tuple(authorities))
    types = [PREDICATE_TYPES.get(stated, stated) for stated in arguments.attestation or ()]
    for kind in types:
        if ":" not in kind:
            known = ", ".join(PREDICATE_TYPES)
            raise _usage(f"--attestation: {kind!r} is neither a URI nor one of {known}")
    if types and arguments.annotation and not arguments.signature:
        raise _usage("--annotation is about signatures: with --attestation give --signature too")
    return ImageRequirement(
        combined if arguments.signature or not types else None,
        annotations=tuple(_pairs(arguments.annotation, "--annotation")),
        attestations=tuple(AttestationRequirement(kind, authorities=combined) for kind in types),
        target=arguments.target,
        same_reference=arguments.same_reference,
        signature_repository=arguments.signature_repository or "",
    )


def _authorities(arguments: argparse.Namespace) -> list[Authorities]:
    from tidewaiter.rules.signatures.authority import (
        PUBLIC_GOOD,
        CertificateAuthority,
        KeyAuthority,
        TimestampAuthority,
    )
    from tidewaiter.rules.signatures.material import (
        check_certificates,
        check_key,
        check_trusted_root,
    )

    stated_root = arguments.trusted_root
    if stated_root and not any(getattr(arguments, name) for name in _ASKED[:-1]):
        raise _usage(
            "--trusted-root needs --identity and --issuer: it says who vouches, not who signs"
        )
    for_identities = not arguments.certificate_chain and any(
        getattr(arguments, name) for name in ("identity", "identity_regexp")
    )
    root = (
        check_trusted_root(_read(stated_root), stated_root, for_identities=for_identities)
        if stated_root
        else None
    )
    logged = arguments.tlog == "require" or (arguments.tlog is None and root is not None)
    log_root = (root or PUBLIC_GOOD) if logged else None
    stamps = []
    for file in arguments.timestamp_chain or ():
        stamps.append(TimestampAuthority(check_certificates(_read(file), file)))
    found: list[Authorities] = []
    for file in arguments.key or ():
        pem = check_key(_read(file), file)
        found.append(KeyAuthority(pem, file, None, "any", logged, log_root, tuple(stamps)))
    subject, issuer = _match(arguments, "identity"), _match(arguments, "issuer")
    if arguments.certificate_chain:
        file = arguments.certificate_chain
        chain = check_certificates(_read(file), file)
        found.append(
            CertificateAuthority(chain, "", subject, issuer, file, logged, log_root, tuple(stamps))
        )
        if arguments.claim:
            raise _usage("--claim is about identities, which --certificate-chain does not ask for")
    elif subject or issuer or arguments.claim:
        found.append(_keyless(arguments, subject, issuer, root or PUBLIC_GOOD))
    return found


def _keyless(
    arguments: argparse.Namespace,
    subject: TextMatch | None,
    issuer: TextMatch | None,
    root: TrustedRoot,
) -> Authorities:
    from tidewaiter.rules.signatures.authority import (
        CLAIMS,
        Identity,
        KeylessAuthority,
        TextMatch,
    )

    if subject is None or issuer is None:
        raise _usage(
            "an identity is a subject and its issuer: give --identity or --identity-regexp and "
            "--issuer or --issuer-regexp"
        )
    if arguments.tlog == "ignore":
        raise _usage("--tlog ignore: an identity's signature is worth nothing without a log entry")
    if arguments.timestamp_chain and not arguments.key:
        raise _usage(
            "--timestamp-chain is for keys and own authorities; identities take those of the trust root"
        )
    claims = []
    for name, value in _pairs(arguments.claim, "--claim"):
        if name not in CLAIMS:
            from tidewaiter.rules.names import nearest_name

            nearest = nearest_name(name, list(CLAIMS))
            meant = f"did you mean {nearest}?" if nearest else f"there are {', '.join(CLAIMS)}"
            raise _usage(f"--claim: there is no claim {name!r}; {meant}")
        claims.append((name, TextMatch(value)))
    return KeylessAuthority((Identity(issuer, subject, tuple(claims)),), root)


def _match(arguments: argparse.Namespace, name: str) -> TextMatch | None:
    from tidewaiter.rules.signatures.authority import TextMatch

    exact, pattern = getattr(arguments, name), getattr(arguments, f"{name}_regexp")
    if exact is not None and pattern is not None:
        raise _usage(f"--{name} and --{name}-regexp exclude each other")
    if exact is None and pattern is None:
        return None
    match = TextMatch(exact if pattern is None else pattern, pattern is not None)
    if not match.text.startswith("^") and match.is_pattern:
        print(
            f"tidewaiter: --{name}-regexp is searched for anywhere in the {name}; begin it with ^ to say "
            "how that must begin",
            file=sys.stderr,
        )
    return match


def _settings(arguments: argparse.Namespace) -> RegistrySettings:
    from tidewaiter.rules.manifest.image import place_problem
    from tidewaiter.rules.signatures.material import check_certificates
    from tidewaiter.rules.signatures.registry import RegistrySettings

    mirrors: dict[str, tuple[str, ...]] = {}
    for name, place in _pairs(arguments.mirror, "--mirror"):
        for each in (name, place):
            if problem := place_problem(each):
                raise _usage(f"--mirror: {problem}")
        mirrors[name] = (*mirrors.get(name, ()), place)
    file = arguments.registry_ca
    return RegistrySettings(
        plain_http=arguments.plain_http,
        certificates=check_certificates(_read(file), file) if file else "",
        mirrors=mirrors,
    )


def _pairs(stated: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in stated or ():
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise _usage(f"{option}: {text!r} is not of the form NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _positive(seconds: float) -> float:
    if not 0 < seconds <= 3600:
        raise _usage("--timeout must be more than 0 and at most 3600 seconds")
    return seconds


def _read(file: str) -> str:
    from tidewaiter.rules.errors import InputError

    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read(16 * 1024 * 1024)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from None
    except ValueError:
        raise InputError("is no text", file=file) from None


def _usage(message: str) -> InputError:
    from tidewaiter.rules.errors import InputError

    return InputError(message)
