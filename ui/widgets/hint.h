#pragma once

#include <QLabel>
#include <QTimer>
#include <algorithm>

namespace ui {

/// A sentence over a widget, for some seconds.
class Hint final : public QLabel {
public:
    explicit Hint(QWidget* over) : QLabel(over)
    {
        setStyleSheet(
            QStringLiteral("background: rgba(20, 23, 27, 215); color: #f2f4f7; border: 1px solid rgba(255, 255, 255, "
                           "60); border-radius: 8px; padding: 8px 14px; font-weight: 600;"));
        setAttribute(Qt::WA_TransparentForMouseEvents);
        hide();
        m_timer.setSingleShot(true);
        m_timer.setInterval(6000);
        m_timer.callOnTimeout(this, &QWidget::hide);
    }

    void say(QString const& text)
    {
        ensurePolished(); // the letters have their size only then
        setText(text);
        auto const room = std::max(200, parentWidget()->width() - 40);
        setWordWrap(fontMetrics().boundingRect(text).width() + 40 > room);
        setMaximumWidth(room);
        adjustSize();
        move((parentWidget()->width() - width()) / 2, 24);
        show();
        raise();
        m_timer.start();
    }

    /// The accessible description of what it is over: once, to who came without the pointer, and not in the place of
    /// what it says now.
    void sayWayOut(Qt::FocusReason reason)
    {
        auto const text = parentWidget()->accessibleDescription();
        if (m_wayOutSaid || !isHidden() || text.isEmpty() || reason == Qt::MouseFocusReason)
            return;
        m_wayOutSaid = true;
        say(text);
    }

private:
    bool m_wayOutSaid = false;
    QTimer m_timer;
};

}
