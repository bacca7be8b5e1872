#include "ui/display/text_typist.h"

#include <QList>
#include <QTimerEvent>
#include <set>
#include <utility>

namespace ui {

namespace {

constexpr int pace = 6;                         // milliseconds a key goes down or up
constexpr std::size_t worthALine = 2000 / pace; // inputs that take as long as reading one

}

TextTypist::LeftOut TextTypist::type(QString const& text, KeyboardLayout const& layout)
{
    LeftOut left;
    auto normalised = text;
    normalised.replace(QLatin1String("\r\n"), QLatin1String("\n"));
    auto characters = normalised.toUcs4();
    left.isCut = characters.size() > limit;
    if (left.isCut)
        characters.resize(limit);
    for (auto const character : std::as_const(characters)) {
        auto const strokes = layout.strokesFor(static_cast<char32_t>(character));
        if (strokes.empty())
            ++left.withoutKey;
        for (auto const& stroke : strokes) {
            for (auto const code : stroke)
                m_inputs.push_back({ code, true });
            for (auto code = stroke.rbegin(); code != stroke.rend(); ++code)
                m_inputs.push_back({ *code, false });
        }
    }
    m_total = m_inputs.size();
    if (isTyping() && !m_paused)
        m_timer.start(pace, this);
    emit progressed();
    return left;
}

void TextTypist::stop()
{
    if (!isTyping())
        return;
    auto const rest = std::exchange(m_inputs, {});
    m_timer.stop();
    // Keys that are down go up again: those that would go up without going down before.
    std::set<std::uint16_t> toCome;
    for (auto const& input : rest) {
        if (input.pressed)
            toCome.insert(input.code);
        else if (toCome.erase(input.code) == 0)
            emit key(input);
    }
    emit finished();
}

void TextTypist::setPaused(bool paused)
{
    if (std::exchange(m_paused, paused) == paused)
        return;
    if (paused)
        m_timer.stop();
    else if (isTyping())
        m_timer.start(pace, this);
}

std::optional<double> TextTypist::progress() const
{
    if (!isTyping() || m_total < worthALine)
        return {};
    return 1 - static_cast<double>(m_inputs.size()) / static_cast<double>(m_total);
}

void TextTypist::timerEvent(QTimerEvent* event)
{
    if (event->timerId() != m_timer.timerId())
        return;
    auto const input = m_inputs.front();
    m_inputs.pop_front();
    auto const isLast = m_inputs.empty();
    if (isLast)
        m_timer.stop();
    emit key(input);
    if (isLast)
        emit finished();
    else if (m_inputs.size() % 32 == 0)
        emit progressed();
}

}
