"""`make image`: build the image of ragmesh, unless it is there, and say where it is.

    python -m tools.image [--base debian|IMAGE] [--weights …] [--extras …] [--release TAG]
    python -m tools.image --report

Prints the image's name, the archive that a node imports, and the SBOM beside it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from tools.generate_protos import ToolError
from tools.image.archive import Archive
from tools.image.builders import Builder, find_builder
from tools.image.building import have_image
from tools.image.recipe import OFFICIAL_BASE, Recipe
from tools.image.report import PAGE, Weighed, write_page


def main() -> int:
    """Do as asked; 1 when it cannot be done."""
    asked = _read_arguments()
    recipe = Recipe(base=asked.base, extras=asked.extras, weights=asked.weights)
    try:
        builder = find_builder(asked.builder)
        if asked.report:
            _report(builder, recipe)
            return 0
        image = have_image(builder, recipe, asked.release)
    except ToolError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    print(f"image    {image.reference}\narchive  {image.archive}\nsbom     {image.sbom}")
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.image", description="The image of ragmesh.")
    parser.add_argument("--base", default=OFFICIAL_BASE, help="the base; debian is made here")
    parser.add_argument("--extras", default="all", help="all, or extras of pyproject.toml")
    parser.add_argument("--weights", default="exact", help='exact, fast, "exact fast" or none')
    parser.add_argument("--release", help="the tag of a release, instead of this tree")
    parser.add_argument("--builder", choices=("buildah", "docker"), default="buildah")
    parser.add_argument("--report", action="store_true", help="weigh images and write their page")
    return parser.parse_args()


def _report(builder: Builder, recipe: Recipe) -> None:
    kinds = (
        ("with the model", "make image", 350, recipe),
        ("without it", 'make image WEIGHTS="none"', 220, replace(recipe, weights="none")),
    )
    weighed = []
    for title, command, goal, variant in kinds:
        archive = Archive(have_image(builder, variant).archive)
        weighed.append(Weighed(title, command, goal, tuple(archive.layers())))
    write_page(weighed, recipe.base)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    sys.exit(main())
