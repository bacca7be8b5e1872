#pragma once

#include "ui/usb/usb_row.h"

#include <QWidget>
#include <array>
#include <map>
#include <vector>

class QLabel;
class QMenu;
class QPushButton;

namespace ui {

class UsbGroup;
class UsbRowView;

/// The USB devices that a machine has, could have, and is made with: each with a switch, and to be dragged from one
/// group to the other or onto the display. It knows no machine: rows come in, wishes go out.
class UsbPanel final : public QWidget {
    Q_OBJECT
public:
    explicit UsbPanel(QWidget* parent = nullptr);

    /// `problem`: why the host's devices cannot be told; empty: they can.
    void setRows(std::vector<UsbRow> rows, QString const& problem = {});
    /// What can be added, from a button in the panel.
    void setAddMenu(QMenu* menu);
    /// Why no device of another computer can come; empty: it can.
    void setWhyNoOther(QString const& why);
    /// To the first switch, or where there is none to the rules.
    void focusFirst();

signals:
    void shown();
    void wanted(QString id, bool plugged);
    void removalWanted(QString id);
    void rulesRequested();
    void otherRequested(); ///< a device of another computer
    /// A device of the host's that the machine does not have is dragged; until dragEnded().
    void dragBegan(QString name);
    void dragEnded();

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    static constexpr std::size_t groups = 5; // by UsbRow::Group

    UsbRowView* makeRow();
    void startDrag(UsbRowView* row);
    void updateTexts();

    std::vector<UsbRow> m_rows;
    QString m_problem, m_whyNoOther;
    std::map<QString, UsbRowView*> m_views;
    std::array<UsbGroup*, groups> m_groups {};
    QLabel *m_title, *m_why;
    QPushButton *m_add, *m_rules, *m_other;
};

}
