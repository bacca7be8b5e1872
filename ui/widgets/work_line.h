#pragma once

#include <QFrame>

class QProgressBar;
class QPushButton;

namespace ui {

class ElidedLabel;

/// Work that takes long: what it is, how far it is, and a way to cancel it. Hidden while there is none. A screen reader
/// says what it is once, and not each time that it is further.
class WorkLine final : public QFrame {
    Q_OBJECT
public:
    explicit WorkLine(QWidget* parent = nullptr);

    /// `fraction`: 0 to 1.
    void tell(QString const& text, double fraction);
    void setCancellable(bool cancellable);
    QString text() const;

signals:
    void cancelRequested();

protected:
    void changeEvent(QEvent* event) override;

private:
    ElidedLabel* m_text;
    QProgressBar* m_bar;
    QPushButton* m_cancel;
};

}
