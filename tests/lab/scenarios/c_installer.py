"""Debian's installer from its CD, on the screen."""

import time

from machines import PATIENCE, Failure
from scenario import Picture, lab_test

DIALOGUE_SHARE = 0.2  # of the screen is the grey of the first dialogue, if it is not the one of low memory
GREYS = {bytes([level] * 3) for level in range(0xA0, 0xF8)}


def picture(machine) -> Picture:
    return Picture.from_ppm(machine.screenshot())


def shows_dialogue(shot: Picture) -> bool:
    return shot.share_of(GREYS) > DIALOGUE_SHARE


def wait_for(machine, seconds: float, what: str, wanted) -> Picture:
    """The first picture that is as wanted and still the same two seconds later; a screen has none in its first moments."""
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        try:
            shot = picture(machine)
        except Failure as failure:
            if "no picture yet" not in str(failure):
                raise
            time.sleep(1)
            continue
        if wanted(shot):
            time.sleep(2)
            if picture(machine).share_that_differs(shot) < 0.001:
                return shot
        time.sleep(1)
    raise Failure(f"{what} did not come within {seconds:.0f} s")


@lab_test(seconds=500, needs=("installer",))
def installer_comes_back_with_its_picture_and_keyboard(lab):
    cd = lab.guest("installer") / "installer.iso"
    machine = lab.machine(memoryMiB=1024, firmware="seabios", cds=[{"path": str(cd)}], displays=[{}])
    before = wait_for(machine, 400, "the installer's first dialogue", shows_dialogue)
    machine.suspend()
    machine.restore()
    after = wait_for(machine, 30, "a picture", shows_dialogue)
    if (difference := after.share_that_differs(before)) > 0.001:
        raise Failure(f"{difference:.1%} of the picture changed over the suspend")
    machine.press("down")
    wait_for(machine, 30, "an answer to the key", lambda shot: shot.share_that_differs(after) > 0.002)
