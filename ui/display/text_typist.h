#pragma once

#include "vmm/backends/input.h"

#include <QBasicTimer>
#include <QObject>
#include <deque>

namespace ui {

/// Types text into a guest by pressing the keys of a US keyboard, slowly enough for a guest to keep up.
class TextTypist final : public QObject {
    Q_OBJECT
public:
    static constexpr int limit = 10000; ///< characters; more is cut

    using QObject::QObject;

    /// How many characters have no key on that keyboard, and are left out.
    int type(QString const& text);
    void stop();
    bool isTyping() const { return !m_inputs.empty(); }

signals:
    void key(vmm::KeyInput input);
    void finished();

protected:
    void timerEvent(QTimerEvent* event) override;

private:
    std::deque<vmm::KeyInput> m_inputs;
    QBasicTimer m_timer;
};

}
