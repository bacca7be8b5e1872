#pragma once

#include <QMimeData>
#include <QString>
#include <QWidget>
#include <optional>

namespace ui {

/// A USB device that is dragged: what it is, and whether it is in the machine.
struct DraggedUsb {
    QString id;
    bool plugged = false;

    QMimeData* toMime() const;
    static std::optional<DraggedUsb> from(QMimeData const* mime);
};

/// Lies over the machine's display while a device is dragged, says what a drop there does, and takes it.
class UsbDropZone final : public QWidget {
    Q_OBJECT
public:
    explicit UsbDropZone(QWidget* parent = nullptr);

    void offer(QRect where, QString const& text);

signals:
    void dropped(QString id);

protected:
    void paintEvent(QPaintEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    QString m_text;
    bool m_isOver = false;
};

}
