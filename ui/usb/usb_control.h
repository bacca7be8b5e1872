#pragma once

#include "ui/usb/usb_model.h"

#include <QObject>
#include <set>

class QMenu;
class QWidget;

namespace ui {

class UsbBar;
class UsbDropZone;
class UsbPanel;
class UsbRedirectCard;
struct UsbCall;

/// All of USB on one machine's page: the questions, the drop zone and the card for other computers' devices over its
/// display, the menu, and what the panel in the inspector wants.
class UsbControl final : public QObject {
    Q_OBJECT
public:
    /// What lies over the display is `page`'s, and where `display` is.
    UsbControl(app::Library& library, QString id, QWidget* page, QWidget* display);

    void connectPanel(UsbPanel* panel);
    /// It is filled when it is shown.
    void setMenu(QMenu* menu);
    /// To what is asked; false: nothing is.
    bool focusQuestion();
    UsbBar* bar() const { return m_bar; }
    void updateTexts();

signals:
    void failed(ui::Problem problem);
    void rulesRequested();
    void panelRequested();
    void leaveRequested(); ///< the focus was over the display, and nothing is there any more

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    app::VmSession* session() const { return m_library.session(m_id); }
    bool isWatched() const;
    void follow();
    void answer(app::UsbQuestion const& question, bool yes, bool always);
    void offerDrop(QString const& device);
    void fillAddMenu();
    void chooseStick();
    void openRedirect();
    void redirect(UsbCall const& call);
    void tellLost(QString const& id, vmm::Error const& why);
    void fillMenu(QMenu* menu);
    void addToMenu(QMenu* menu, UsbRow const& row);
    void report(Task task, vmm::Error const& error, QString const& node);
    QRect displayRect() const;
    QString name() const;

    app::Library& m_library;
    QString m_id;
    QWidget *m_page, *m_display;
    UsbModel* m_model;
    UsbBar* m_bar;
    UsbDropZone* m_drop;
    UsbRedirectCard* m_redirect;
    QMenu *m_addMenu, *m_removeMenu;
    std::set<std::string> m_seen; // ports of the questions that stand
};

}
