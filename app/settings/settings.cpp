#include "app/settings/settings.h"

#include <memory>

namespace app {

namespace {

std::unique_ptr<QSettings>& file()
{
    static std::unique_ptr<QSettings> settings;
    return settings;
}

}

QSettings& preferences()
{
    auto& settings = file();
    if (!settings) {
        settings = std::make_unique<QSettings>(
            QSettings::IniFormat, QSettings::UserScope, QStringLiteral("chronovisor"), QStringLiteral("chronovisor"));
    }
    return *settings;
}

void usePreferencesFile(QString const& path)
{
    file() = std::make_unique<QSettings>(path, QSettings::IniFormat);
}

}
