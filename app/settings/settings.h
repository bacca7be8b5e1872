#pragma once

#include <QByteArray>
#include <QSettings>
#include <QString>
#include <QStringList>
#include <QVariant>
#include <array>
#include <type_traits>

namespace app {

/// The file that preferences are kept in. Tests give one of their own before anything reads a preference.
QSettings& preferences();
void usePreferencesFile(QString const& path);

/// A preference: declared once, with its key, its type and its default. What the file has and the type has not (edited
/// by hand, written by another version) reads as the default. GUI thread only.
///
///     inline const Setting<bool> confirmStop { "ui/confirmStop", true };
///     if (confirmStop()) …
template<typename T>
class Setting {
public:
    constexpr Setting(char const* key, T fallback) : m_key(key), m_fallback(std::move(fallback)) { }

    T operator()() const
    {
        auto const value = preferences().value(QLatin1String(m_key));
        if (!value.isValid())
            return m_fallback;
        if constexpr (std::is_enum_v<T>) {
            // By name, as an enum's numbers are nobody's promise.
            auto const names = settingNames(T {});
            for (std::size_t i = 0; i < names.size(); ++i) {
                if (value.toString() == QLatin1String(names[i]))
                    return static_cast<T>(i);
            }
            return m_fallback;
        } else {
            if (!value.canConvert<T>())
                return m_fallback;
            if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
                bool isNumber = false;
                value.toDouble(&isNumber);
                if (!isNumber)
                    return m_fallback;
            }
            return value.value<T>();
        }
    }

    void set(T const& value) const
    {
        if constexpr (std::is_enum_v<T>)
            preferences().setValue(
                QLatin1String(m_key), QString::fromLatin1(settingNames(T {})[static_cast<std::size_t>(value)]));
        else
            preferences().setValue(QLatin1String(m_key), QVariant::fromValue(value));
    }

    void clear() const { preferences().remove(QLatin1String(m_key)); }
    char const* key() const { return m_key; }
    T const& fallback() const { return m_fallback; }

private:
    char const* m_key;
    T m_fallback;
};

/// What happens to machines that run when the application is closed.
enum class OnClose { Suspend, KeepRunning, ShutDown, Ask };
constexpr auto settingNames(OnClose)
{
    return std::to_array<char const*>({ "suspend", "keepRunning", "shutDown", "ask" });
}

namespace settings {

inline Setting<OnClose> const onClose { "machines/onClose", OnClose::Suspend };

}
}
