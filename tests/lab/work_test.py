#!/usr/bin/env python3
"""Which downloads count as cut, and what is wrong with one that was."""

import re
import unittest
import urllib.request
from unittest import mock

import work
from machines import Failure, wait_until
from web_server import GATEWAY, WebServer


class DownloadTest(unittest.TestCase):
    """Of a guest that answers what a test says."""

    def setUp(self) -> None:
        web = WebServer()
        self.addCleanup(web.server_close)
        self.addCleanup(web.shutdown)
        self.resets, self.status, self.commands = 0, "0", []
        self.checksum = web.checksum("large")
        self.download = work.Download(mock.Mock(web=web), mock.Mock(run=self.run_in_guest), "fetched")

    def run_in_guest(self, command: str, _: int = 60) -> str:
        self.commands.append(command)
        if address := re.search(rf"http://{GATEWAY}(\S+)", command):
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            self.fetched = direct.open("http://127.0.0.1" + address[1])
            self.addCleanup(self.fetched.close)
        answers = {"/proc/net/snmp": f"Tcp: MaxConn EstabResets\nTcp: -1 {self.resets}", "cat /tmp/end": self.status,
                   "sha256sum": self.checksum}
        return next((answer for part, answer in answers.items() if part in command), "")

    def begin(self, speed: int = work.SPEED) -> None:
        with mock.patch.object(work, "SPEED", speed):
            self.download.begin()

    def test_one_that_is_under_way_is_cut(self) -> None:
        self.begin()
        self.assertTrue(self.download.is_under_way())

    def test_one_that_was_sent_is_not(self) -> None:
        self.begin(20 << 20)
        self.fetched.read()
        wait_until("the server knows that it has sent all", lambda: not self.download.is_under_way())
        self.download.end(was_cut=False)

    def test_one_that_was_cut_must_not_end_well(self) -> None:
        self.begin()
        with self.assertRaisesRegex(Failure, "as if it were whole"):
            self.download.end(was_cut=True)

    def test_one_that_was_cut_must_have_been_reset(self) -> None:
        self.begin()
        self.status = "1"
        with self.assertRaisesRegex(Failure, "not by a reset"):
            self.download.end(was_cut=True)

    def test_one_that_was_cut_goes_on(self) -> None:
        self.begin()
        self.status, self.resets = "1", 1
        self.download.end(was_cut=True)
        self.assertTrue(any("wget -q -c" in command for command in self.commands))
        self.checksum = "another"
        with self.assertRaisesRegex(Failure, "in two parts"):
            self.download.end(was_cut=True)

    def test_of_twenty_fifteen_must_have_been_cut(self) -> None:
        work.check_enough(15, 20)
        with self.assertRaises(Failure):
            work.check_enough(14, 20)


if __name__ == "__main__":
    unittest.main()
