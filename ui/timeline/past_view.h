#pragma once

#include "app/session/moment_pictures.h"

#include <QFrame>
#include <QImage>
#include <QWidget>

class QLabel;
class QPushButton;

namespace ui {

class ElidedLabel;

/// What a machine's screen showed at a moment, in the place of its screen: the picture with dimmed edges, and beneath
/// it when that was and what changed. It knows no timeline: words and pictures come in, wishes go out.
class PastView final : public QWidget {
    Q_OBJECT
public:
    explicit PastView(QWidget* parent = nullptr);

    using Picture = app::MomentPictures::Shared;
    /// Null, or a null picture: there is none (yet).
    void showPicture(Picture picture);
    /// `instead` is said where there is no picture.
    void showWords(QString const& title, QString const& time, QString const& details, QString const& instead);
    /// What going there does to USB devices of the host; empty: nothing, or it is not known yet.
    void showUsb(QString const& text);
    /// Empty: it can be gone to.
    void setWhyNotGo(QString const& reason);
    bool hasPicture() const { return m_picture && !m_picture->isNull(); }
    Picture const& picture() const { return m_picture; }

signals:
    void goRequested();
    void forkRequested();
    void leaveRequested();
    void painted(); ///< the picture is on the screen

protected:
    void paintEvent(QPaintEvent* event) override;
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void updateTexts();
    void describe();
    QRect pictureRect() const; // device pixels

    Picture m_picture;
    QImage m_image; // over the picture's pixels
    QString m_instead;
    QFrame* m_caption;
    ElidedLabel *m_title, *m_details;
    QLabel *m_time, *m_usb;
    QPushButton *m_go, *m_fork, *m_leave;
};

}
