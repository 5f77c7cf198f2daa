"""Image references against verdicts of distribution/reference v0.6's `ParseNormalizedNamed`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.image import ImageReference, InvalidImage, parse_image

SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8

# Reference: registry, repository, tag, digest.
READ: dict[str, tuple[str, str, str | None, str | None]] = {
    "nginx": ("docker.io", "library/nginx", None, None),
    "nginx:1.27": ("docker.io", "library/nginx", "1.27", None),
    "bitnami/redis": ("docker.io", "bitnami/redis", None, None),
    "docker.io/nginx": ("docker.io", "library/nginx", None, None),
    "docker.io/library/nginx": ("docker.io", "library/nginx", None, None),
    "index.docker.io/nginx": ("docker.io", "library/nginx", None, None),
    "index.docker.io/a/b:c": ("docker.io", "a/b", "c", None),
    "registry-1.docker.io/nginx": ("registry-1.docker.io", "nginx", None, None),
    "ghcr.io/shop/api:1.4": ("ghcr.io", "shop/api", "1.4", None),
    "a/b/c": ("docker.io", "a/b/c", None, None),
    "localhost/api": ("localhost", "api", None, None),
    "localhost": ("docker.io", "library/localhost", None, None),
    "example.com": ("docker.io", "library/example.com", None, None),
    "host:5000": ("docker.io", "library/host", "5000", None),
    "host:5000/api": ("host:5000", "api", None, None),
    "host:5000/api:2": ("host:5000", "api", "2", None),
    "Foo/api": ("Foo", "api", None, None),
    "EXAMPLE.com/api": ("EXAMPLE.com", "api", None, None),
    "127.0.0.1:5000/a": ("127.0.0.1:5000", "a", None, None),
    "[::1]/api": ("[::1]", "api", None, None),
    "[fd00::1]:5000/api": ("[fd00::1]:5000", "api", None, None),
    "xn--n3h.com/api": ("xn--n3h.com", "api", None, None),
    "my_host.lan/api": ("", "my_host.lan/api", None, None),
    "a_b/c": ("docker.io", "a_b/c", None, None),
    "a__b/c.d---e": ("docker.io", "a__b/c.d---e", None, None),
    "nginx:_x.-Y": ("docker.io", "library/nginx", "_x.-Y", None),
    "nginx:" + "t" * 128: ("docker.io", "library/nginx", "t" * 128, None),
    f"nginx@{SHA256}": ("docker.io", "library/nginx", None, SHA256),
    f"nginx:1@{SHA256}": ("docker.io", "library/nginx", "1", SHA256),
    f"ghcr.io/a/b@{SHA512}": ("ghcr.io", "a/b", None, SHA512),
    "a@sha384:" + "f" * 96: ("docker.io", "library/a", None, "sha384:" + "f" * 96),
    "a" * 63: ("docker.io", "library/" + "a" * 63, None, None),
    "g" * 64: ("docker.io", "library/" + "g" * 64, None, None),
    "ghcr.io/" + "a" * 255: ("ghcr.io", "a" * 255, None, None),
    "a" * 247: ("docker.io", "library/" + "a" * 247, None, None),
}

REFUSED = {
    "": "the image is empty",
    " nginx": "contains white space",
    "nginx ": "contains white space",
    "nginx\n": "contains white space",
    "nginx:": "the tag after the colon is empty",
    "nginx:.1": "must not start with a dot or a hyphen",
    "nginx:-1": "must not start with a dot or a hyphen",
    "nginx:a+b": "tag 'a[+]b' must be letters",
    "nginx:1:2": "tag '1:2' must be letters",
    "nginx:é": "tag 'é' must be letters",
    "nginx:" + "t" * 129: "a tag has at most 128 characters",
    "NGINX": "repository name 'NGINX' must be lowercase",
    "a/Nginx": "repository name 'a/Nginx' must be lowercase",
    "ghcr.io/Shop/api": "repository name 'Shop/api' must be lowercase",
    "a///b": "parted by single slashes",
    "/nginx": "repository name '/nginx'",
    "ghcr.io/": "the repository has no name",
    "docker.io/": "the repository has no name",
    "nginx/": "parted by single slashes",
    "-nginx": "repository name '-nginx'",
    "nginx-": "repository name 'nginx-'",
    "a..b/c": "'a..b' is not a registry's host",
    "a___b": "repository name 'a___b'",
    "a_-b": "repository name 'a_-b'",
    "a.-b": "repository name 'a.-b'",
    "host:/api": "'host:' is not a registry's host",
    "host:port/api": "'host:port' is not a registry's host",
    "-host.io/api": "'-host.io' is not a registry's host",
    "[::g]/api": "is not a registry's host",
    "[fe80::1%eth0]/api": "is not a registry's host",
    "https://ghcr.io/a": "is a URL",
    "$IMAGE": r"'\$IMAGE' contains a placeholder",
    "{{image}}:1": "contains a placeholder",
    "a" * 64: "64 hexadecimal digits alone",
    "ghcr.io/" + "a" * 256: "not be more than 255 characters: it has 256",
    "a" * 248: "not be more than 255 characters: it has 256",
    "nginx@": "'' is not a digest",
    "nginx@sha256": "'sha256' is not a digest",
    "nginx@sha256:": "'sha256:' is not a digest",
    "nginx@sha256:abc": "'sha256:abc' has 3 hexadecimal digits, sha256 has 64",
    f"nginx@{SHA256}0": "'sha256:0123456789ab…' has 65 hexadecimal digits",
    f"nginx@{SHA256[:-1]}": "has 63 hexadecimal digits",
    f"nginx@{SHA256[:-1]}g": "must have lowercase hexadecimal digits",
    f"nginx@{SHA256[:-1]}A": "must have lowercase hexadecimal digits",
    f"nginx@{SHA256}@{SHA256}": "must have lowercase hexadecimal digits",
    f"nginx@{SHA256}:1": "must have lowercase hexadecimal digits",
    "nginx@SHA256:" + "a" * 64: "unsupported digest algorithm 'SHA256'",
    # The grammar has room for others, the parser does not know them.
    "nginx@md5:" + "a" * 32: "unsupported digest algorithm 'md5'",
    "nginx@sha256+b64:" + "a" * 64: "unsupported digest algorithm",
    f"@{SHA256}": "the repository has no name",
    ":1": "the repository has no name",
}


@pytest.mark.parametrize("text", READ)
def test_reads_as_runtimes_do(text: str) -> None:
    assert parse_image(text) == ImageReference(text, *READ[text])


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_others_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidImage, match=REFUSED[text]) as caught:
        parse_image(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [None, True, 1, 1.5, [], {}, b"nginx"])
def test_only_strings_are_images(value: object) -> None:
    with pytest.raises(InvalidImage, match="an image is a string"):
        parse_image(value)


def test_name_and_pinning() -> None:
    image = parse_image(f"nginx:1@{SHA256}")
    assert image.name == "docker.io/library/nginx"
    assert image.is_pinned
    assert not parse_image("nginx:1").is_pinned
    assert parse_image("my_host.lan/api").name == "my_host.lan/api"


WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
COMPONENTS = st.builds(
    str.__add__,
    WORDS,
    st.sampled_from(["", ".", "_", "__", "-", "--"]).flatmap(
        lambda joint: st.just("") if not joint else WORDS.map(lambda word: joint + word)
    ),
)
HOSTS = st.sampled_from(["localhost", "ghcr.io", "r:5000", "10.0.0.1:443", "[::1]:5000", "Host"])
TAGS = st.text("abcXYZ019_", min_size=1, max_size=20)


@given(
    HOSTS,
    st.lists(COMPONENTS, min_size=1, max_size=4),
    st.none() | TAGS,
    st.sampled_from([None, SHA256, SHA512]),
)
def test_parts_are_read_back(
    host: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    repository = "/".join(path)
    text = f"{host}/{repository}"
    text += f":{tag}" if tag else ""
    text += f"@{digest}" if digest else ""
    assert parse_image(text) == ImageReference(text, host, repository, tag, digest)


@given(st.text() | st.text("aB0.:/@-_[]{$", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        image = parse_image(text)
    except InvalidImage:
        return
    full = image.name + (f":{image.tag}" if image.tag else "")
    full += f"@{image.digest}" if image.digest else ""
    if image.registry:
        again = parse_image(full)
        assert (again.name, again.tag, again.digest) == (image.name, image.tag, image.digest)
