"""The compiled part of the kernel. It is optional: without a C compiler maxspan installs all the same, and is slower."""

from setuptools import Extension, setup

NATIVE = "src/maxspan/engine/kernel/native"

setup(
    ext_modules=[
        Extension(
            "maxspan.engine.kernel.native._scan",
            [f"{NATIVE}/scan.c"],
            depends=[f"{NATIVE}/json.h", f"{NATIVE}/memo.h", f"{NATIVE}/row.h"],
            extra_compile_args=["-O3", "-std=c11"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
