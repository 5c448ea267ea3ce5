import os

from svcdns.aio.pipes import PipePool


def test_a_pipe_that_comes_back_is_lent_again() -> None:
    pool = PipePool()
    pipe = pool.take()
    assert pipe is not None
    pool.give(pipe)
    assert pool.take() == pipe
    pool.give(pipe)
    pool.close()


def test_no_more_than_the_limit_are_out() -> None:
    pool = PipePool(limit=2)
    first, second = pool.take(), pool.take()
    assert first is not None
    assert second is not None
    assert pool.take() is None
    pool.discard(first)
    third = pool.take()
    assert third is not None
    for pipe in (second, third):
        pool.discard(pipe)


def test_octets_of_a_discarded_pipe_reach_nobody() -> None:
    pool = PipePool()
    pipe = pool.take()
    assert pipe is not None
    os.write(pipe.write, b"secret")
    pool.discard(pipe)
    other = pool.take()
    assert other is not None
    os.write(other.write, b"mine")
    assert os.read(other.read, 100) == b"mine"
    pool.discard(other)
