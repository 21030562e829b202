"""What an image is made of, in CycloneDX: Python distributions, Debian packages, weights.

All of it is read out of the image, so that nothing is listed that is not there. Equal images have
equal documents, to the byte: they hold no time, and their number follows from the image's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.image.archive import Archive

_DISTRIBUTION = re.compile(r"opt/ragmesh/lib/python[^/]+/site-packages/[^/]+\.dist-info/METADATA")
_MODEL = re.compile(r"opt/ragmesh/share/ragmesh/models/[^/]+/manifest\.json")
_DEBIAN = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_PROGRAM = "ragmesh"


def write_sbom(archive: Archive, reference: str) -> str:
    """The SBOM of an image, as JSON."""
    texts = archive.texts(
        lambda path: path in (_DEBIAN, _RELEASE) or _is_python(path) or _is_model(path)
    )
    distributions = [_distribution(_fields(texts[path])) for path in filter(_is_python, texts)]
    (program,) = (each for each in distributions if each.name == _PROGRAM)
    parts = [
        *(each for each in distributions if each is not program),
        *(_weights(json.loads(texts[path])) for path in filter(_is_model, texts)),
        *_debian_packages(texts[_DEBIAN], _distro(texts[_RELEASE])),
    ]
    bom = Bom(components=parts, serial_number=uuid5(NAMESPACE_URL, reference))
    bom.metadata.component = program
    bom.register_dependency(program, parts)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _is_python(path: str) -> bool:
    return bool(_DISTRIBUTION.fullmatch(path))


def _is_model(path: str) -> bool:
    return bool(_MODEL.fullmatch(path))


def _fields(text: str) -> Message:
    return HeaderParser().parsestr(text, headersonly=True)


def _distribution(metadata: Message) -> Component:
    name, version = metadata["Name"], metadata["Version"]
    return Component(
        type=ComponentType.APPLICATION if name == _PROGRAM else ComponentType.LIBRARY,
        name=name,
        version=version,
        description=metadata["Summary"],
        licenses=_licenses(metadata),
        purl=(purl := PackageURL("pypi", name=name.lower(), version=version)),
        bom_ref=purl.to_string(),
    )


def _licenses(metadata: Message) -> list[License]:
    """What a distribution says of its licence: an SPDX expression, or the words it has."""
    factory = LicenseFactory()
    if expression := metadata["License-Expression"]:
        return [factory.make_from_string(expression)]
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", ())
        if line.startswith("License ::")
    ]
    said = (metadata["License"] or "").strip()
    if said and "\n" not in said:
        return [factory.make_with_name(said)]
    return [factory.make_with_name(name) for name in classifiers]


def _weights(manifest: dict[str, str]) -> Component:
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest["model"],
        version=manifest["precision"],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=manifest["weights_sha256"])],
        bom_ref=f"model:{manifest['model']}:{manifest['precision']}",
    )


def _debian_packages(status: str, distro: str) -> Iterator[Component]:
    for paragraph in status.strip().split("\n\n"):
        package = _fields(paragraph)
        name, version = package["Package"], package["Version"]
        qualifiers = {"arch": package["Architecture"], "distro": distro}
        purl = PackageURL("deb", "debian", name, version, qualifiers=qualifiers)
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            purl=purl,
            bom_ref=purl.to_string(),
        )


def _distro(release: str) -> str:
    said = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    number = said["VERSION_ID"].strip('"')
    return f"debian-{number}"
