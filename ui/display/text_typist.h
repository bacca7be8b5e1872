#pragma once

#include "ui/display/keyboard_layout.h"
#include "vmm/backends/input.h"

#include <QBasicTimer>
#include <QObject>
#include <deque>
#include <optional>

namespace ui {

/// Types text into a guest by pressing keys, slowly enough for a guest to keep up.
class TextTypist final : public QObject {
    Q_OBJECT
public:
    static constexpr int limit = 10000; ///< characters; more is cut

    using QObject::QObject;

    struct LeftOut {
        int withoutKey = 0; ///< characters
        bool isCut = false;
    };
    LeftOut type(QString const& text, KeyboardLayout const& layout);
    void stop();
    /// It goes on where it was.
    void setPaused(bool paused);
    bool isTyping() const { return !m_inputs.empty(); }
    /// From 0 to 1; empty where it is idle, or done before anybody has read that.
    std::optional<double> progress() const;

signals:
    void key(vmm::KeyInput input);
    void progressed();
    /// Also where it was stopped.
    void finished();

protected:
    void timerEvent(QTimerEvent* event) override;

private:
    std::deque<vmm::KeyInput> m_inputs;
    std::size_t m_total = 0; // of the inputs
    bool m_paused = false;
    QBasicTimer m_timer;
};

}
