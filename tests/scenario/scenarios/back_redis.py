# SPDX-License-Identifier: ISC
"""A Redis that has its answers cut off."""
from lib.suite import scenario
from scenarios.back import Back
from scenarios.cuts import check_each_cut, check_each_flip, check_each_start


def set_key(stage):
    stage.redis.ask("SET", "scenario", "shuttle")


@scenario(Back, limit=60)
def a_reply_of_redis_is_cut_at_each_byte(stage):
    set_key(stage)
    check_each_cut(stage, "redis&key=scenario", b"shuttle", stage.redis_proxy, pools=4)


@scenario(Back, limit=60)
def redis_is_cut_off_while_it_connects(stage):
    set_key(stage)
    check_each_start(stage, "redis&key=scenario", b"shuttle", stage.redis_proxy, pools=4)


@scenario(Back, limit=60)
def a_reply_of_redis_has_a_flipped_bit(stage):
    set_key(stage)
    check_each_flip(stage, "redis&key=scenario", b"shuttle", stage.redis_proxy, pools=8)
