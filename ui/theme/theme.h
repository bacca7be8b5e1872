#pragma once

#include "app/settings/settings.h"

#include <QColor>
#include <QPalette>

class QApplication;

namespace ui {

enum class Theme { System, Light, Dark };
constexpr auto settingNames(Theme)
{
    return std::to_array<char const*>({ "system", "light", "dark" });
}

namespace settings {
inline app::Setting<Theme> const theme { "ui/theme", Theme::System };
}

/// Colours that a palette has no role for.
struct ThemeColors {
    QColor running, paused, suspended, problem, faint, border, raised;
};
/// Those of the application's palette: a widget's own may be changed by a style sheet.
ThemeColors themeColors();

QPalette lightPalette();
QPalette darkPalette();

/// Style, palette and the few rules on top of them, for the whole application; again when the setting has changed.
void applyTheme(QApplication& application);

}
