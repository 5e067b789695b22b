"""The compiled part of the kernel. It is optional: where there is no C compiler, maxspan does the same in Python."""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = "src/maxspan/engine/kernel/native"

setup(
    ext_modules=[
        Extension(
            "maxspan.engine.kernel.native._scan",
            [f"{NATIVE}/scan.c"],
            depends=sorted(map(str, Path(NATIVE).glob("*.h"))),
            extra_compile_args=["-O3", "-std=c11"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
