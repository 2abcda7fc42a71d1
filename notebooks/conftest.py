"""The notebooks' kernels are forks too: what each imports takes longer than most of them."""

import pytest

from tests.kernels import forked


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in forked().items():
            patch.setenv(name, value)
        return (yield)
