#pragma once

#include "app/settings/settings.h"

#include <QStringList>

namespace ui {

namespace settings {
inline app::Setting<QString> const language { "ui/language", {} }; ///< empty: the desktop's
}

/// The languages that there are, as codes; English is the source.
QStringList languages();
/// In its own words: "Deutsch".
QString languageName(QString const& code);
/// Loads what the setting says; widgets then get a LanguageChange.
void applyLanguage();

}
