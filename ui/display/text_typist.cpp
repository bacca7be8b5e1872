#include "ui/display/text_typist.h"

#include "ui/display/key_codes.h"

#include <QList>
#include <QTimerEvent>

namespace ui {

int TextTypist::type(QString const& text)
{
    auto without = 0;
    auto normalised = text.left(limit);
    normalised.replace(QLatin1String("\r\n"), QLatin1String("\n"));
    for (auto const character : normalised.toUcs4()) {
        auto const codes = keysForCharacter(static_cast<char32_t>(character));
        if (codes.empty())
            ++without;
        for (auto const code : codes)
            m_inputs.push_back({ code, true });
        for (auto code = codes.rbegin(); code != codes.rend(); ++code)
            m_inputs.push_back({ *code, false });
    }
    if (!m_inputs.empty())
        m_timer.start(6, this);
    return without;
}

void TextTypist::stop()
{
    // Keys that are down go up again.
    std::deque<vmm::KeyInput> rest;
    std::swap(rest, m_inputs);
    m_timer.stop();
    for (auto const& input : rest) {
        if (input.pressed)
            break;
        emit key(input);
    }
}

void TextTypist::timerEvent(QTimerEvent* event)
{
    if (event->timerId() != m_timer.timerId())
        return;
    if (!m_inputs.empty()) {
        auto const input = m_inputs.front();
        m_inputs.pop_front();
        emit key(input);
    }
    if (m_inputs.empty()) {
        m_timer.stop();
        emit finished();
    }
}

}
