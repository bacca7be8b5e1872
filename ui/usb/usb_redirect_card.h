#pragma once

#include "app/runner/usb_peer_address.h"
#include "ui/widgets/problem.h"

#include <QFrame>
#include <QPointer>
#include <optional>

class QLabel;
class QLineEdit;
class QPushButton;
class QRadioButton;
class QToolButton;

namespace ui {

/// What is asked for on the card.
struct UsbCall {
    app::UsbMeeting how = app::UsbMeeting::Call;
    QString address;
    bool operator==(UsbCall const&) const = default;
};

/// A card over a machine's display: where a USB device of another computer comes from, and what is started there for
/// that. It knows no machine.
class UsbRedirectCard final : public QFrame {
    Q_OBJECT
public:
    explicit UsbRedirectCard(QWidget* parent = nullptr);

    /// With what was asked for last, and with the focus.
    void open();
    /// The focus goes back to where it was.
    void leave();
    /// In the middle of `area`, as wide as that allows.
    void place(QRect area);
    /// Without a problem it leaves. False: nobody waits for that here any more.
    bool answer(UsbCall const& call, std::optional<Problem> const& problem);

signals:
    void wanted(ui::UsbCall call);
    /// The person has gone back, and does not want it any more.
    void calledOff(ui::UsbCall call);
    /// The focus was here, and where it was before is nothing any more.
    void done();

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    app::UsbMeeting how() const;
    void fill();
    void begin();
    void ask();
    void goBack();
    void tell(QString const& text, QString const& details = {});
    void updateTexts();
    void updateLook();

    std::optional<UsbCall> m_asked; // and not answered
    QPointer<QWidget> m_before;     // had the focus
    QRect m_area;
    QLabel *m_icon, *m_title, *m_addressLabel, *m_told, *m_hint, *m_note;
    QRadioButton *m_calls, *m_waits;
    QLineEdit *m_address, *m_command;
    QToolButton* m_copy;
    QPushButton *m_back, *m_go;
};

}
