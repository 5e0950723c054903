"""As much of a Dockerfile as we need: its stages, what they copy from here, and what they run."""

import fnmatch
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from compose.embedded.options import ROOT


@dataclass
class Stage:
    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.instructions if name == instruction]

    @property
    def copies(self) -> list[tuple[str, list[str], str]]:
        """The copies: from which stage, empty for our files, which, and where to."""
        return [_read_copy(text) for text in self.all("COPY")]


def read_stages(path: Path) -> dict[str, Stage]:
    """Return the stages by name, the last one also as "": what is built unless a target is named."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
    stages: dict[str, Stage] = {}
    stage = Stage("", "")
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = Stage(name, base)
            stages[name or f"stage {len(stages)}"] = stage
        else:
            stage.instructions.append((instruction, rest.strip()))
    return stages | {"": stage}


def copy_ours(stage: Stage, image: Path) -> None:
    """Copy what a stage copies from the build context into a folder that stands for the image."""
    workdir = "/"
    for instruction, text in stage.instructions:
        if instruction == "WORKDIR":
            workdir = text
        if instruction == "COPY":
            origin, sources, target = _read_copy(text)
            for source in sources if not origin else []:
                _copy(
                    ROOT / source, image / str(PurePosixPath(workdir, target)).lstrip("/"), into=target.endswith("/")
                )


def is_sent(path: str) -> bool:
    """Tell whether .dockerignore lets a file into the build context: the last pattern that fits decides."""
    sent = True
    for pattern in (ROOT / ".dockerignore").read_text().splitlines():
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.removeprefix("!")
        parts = [str(parent) for parent in (PurePosixPath(path), *PurePosixPath(path).parents)]
        if any(_fits(part, wanted) for part in parts):
            sent = pattern.startswith("!")
    return sent


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(PurePosixPath(path).name, pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatch.fnmatch(path, pattern)


def _read_copy(text: str) -> tuple[str, list[str], str]:
    words = shlex.split(text)
    origin = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), "")
    *sources, target = [word for word in words if not word.startswith("--")]
    return origin, sources, target


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_file():
        destination = target / source.name if into else target
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, destination)
        return
    for folder, _, names in os.walk(source):
        for path in (Path(folder) / name for name in names):
            if is_sent(path.relative_to(ROOT).as_posix()):
                destination = target / path.relative_to(source)
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, destination)
