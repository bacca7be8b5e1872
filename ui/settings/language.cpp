#include "ui/settings/language.h"

#include <QCoreApplication>
#include <QLibraryInfo>
#include <QLocale>
#include <QTranslator>

static void initialiseTranslations()
{
    Q_INIT_RESOURCE(translations);
}

namespace ui {

QStringList languages()
{
    return { QStringLiteral("en"), QStringLiteral("de") };
}

QString languageName(QString const& code)
{
    auto name = QLocale(code).nativeLanguageName();
    if (code == QLatin1String("en"))
        return QStringLiteral("English");
    if (!name.isEmpty())
        name[0] = name[0].toUpper();
    return name;
}

void applyLanguage()
{
    initialiseTranslations();
    static QTranslator own, qt;
    auto const chosen = settings::language();
    auto const locale = chosen.isEmpty() ? QLocale::system() : QLocale(chosen);
    QLocale::setDefault(locale);
    QCoreApplication::removeTranslator(&own);
    QCoreApplication::removeTranslator(&qt);
    if (qt.load(
            locale, QStringLiteral("qtbase"), QStringLiteral("_"), QLibraryInfo::path(QLibraryInfo::TranslationsPath)))
        QCoreApplication::installTranslator(&qt);
    // English has no file but its plurals.
    if (own.load(locale, QStringLiteral("chronovisor"), QStringLiteral("_"), QStringLiteral(":/translations"))
        || own.load(QStringLiteral(":/translations/chronovisor_en")))
        QCoreApplication::installTranslator(&own);
}

}
