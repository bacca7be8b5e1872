#include "tests/fuzz/fuzz_input.h"
#include "ui/serial/terminal_screen.h"

/// What a guest has printed, or a saved state says that it has, in a window whose size changes.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    ui::TerminalScreen screen(24, 80);
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 16) {
        case 0: {
            auto const rows = input.take<std::uint8_t>() % 64, columns = int(input.take<std::uint8_t>());
            screen.resize(rows, columns);
            break;
        }
        case 1: screen.reset(); break;
        default: {
            auto const printed = input.takeBytes(input.take<std::uint8_t>());
            screen.feed({ printed.data(), static_cast<qsizetype>(printed.size()) });
        }
        }
        auto const cursor = screen.cursor();
        if (cursor.line < 0 || cursor.line >= screen.lineCount() || cursor.column < 0
            || cursor.column > screen.columns())
            __builtin_trap();
        for (int row = 0; row < screen.rows(); ++row) {
            auto const& line = screen.line(screen.scrollbackCount() + row);
            if (line.cells.size() != static_cast<std::size_t>(screen.columns()))
                __builtin_trap();
        }
    }
    static_cast<void>(screen.text({ 0, 0 }, { screen.lineCount(), ui::TerminalScreen::maximumSize }));
    return 0;
}
