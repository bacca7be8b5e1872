#pragma once

#include <QString>
#include <cstdint>
#include <map>
#include <vector>

namespace ui {

/// Keys (linux/input-event-codes.h) that are down together, pressed in this order.
using KeyStroke = std::vector<std::uint16_t>;

/// The keys that type a character for a guest with this layout, as xkb has it: "us", "de".
class KeyboardLayout {
public:
    /// One that xkb does not know has the keys of a line's end and a tab only.
    explicit KeyboardLayout(QString const& name);
    /// One after the other: a dead key has a space behind it. Empty: there is no key for it.
    std::vector<KeyStroke> strokesFor(char32_t character) const;

private:
    std::map<char32_t, std::vector<KeyStroke>> m_strokes;
};

struct LayoutChoice {
    QString name;
    QString label; ///< in its own language
};
/// What a person can choose from.
std::vector<LayoutChoice> const& keyboardLayouts();
/// The one of them that this computer is set up with; "us" where that cannot be told.
QString hostLayout();

}
