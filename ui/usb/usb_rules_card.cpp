#include "ui/usb/usb_rules_card.h"

#include "ui/theme/icons.h"
#include "ui/usb/usb_match_field.h"
#include "ui/usb/usb_rule_row.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/problem.h"

#include <QComboBox>
#include <QEvent>
#include <QLabel>
#include <QMenu>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

namespace ui {

UsbRulesCard::UsbRulesCard(app::Library& library, QWidget* parent)
    : QWidget(parent),
      m_library(library),
      m_hint(new QLabel),
      m_problem(new QLabel),
      m_layout(new QVBoxLayout),
      m_add(new QPushButton),
      m_addMenu(new QMenu(this)),
      m_field(new UsbMatchField)
{
    m_hint->setProperty("quiet", true);
    m_hint->setWordWrap(true);
    m_problem->setWordWrap(true);
    m_problem->setTextFormat(Qt::PlainText);
    m_layout->setSpacing(8);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(10);
    layout->addWidget(m_hint);
    layout->addWidget(m_problem);
    layout->addLayout(m_layout);
    layout->addWidget(m_add, 0, Qt::AlignLeft);
    layout->addWidget(m_field);
    m_add->setMenu(m_addMenu);
    connect(m_addMenu, &QMenu::aboutToShow, this, &UsbRulesCard::fillAddMenu);
    connect(m_field, &UsbMatchField::entered, this, &UsbRulesCard::enter);
    connect(m_field, &UsbMatchField::refused, this, [this] { emit partShown(m_field); });
    connect(m_field, &UsbMatchField::left, this, &UsbRulesCard::leaveField);
    connect(&library.hostUsb(), &app::HostUsbWatch::changed, this, &UsbRulesCard::fill);
    connect(&library, &app::Library::machineAdded, this, &UsbRulesCard::fill);
    connect(&library, &app::Library::machineRemoved, this, &UsbRulesCard::fill);
    connect(&library, &app::Library::machineChanged, this, &UsbRulesCard::fill);
    updateTexts();
}

void UsbRulesCard::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_library.hostUsb().open();
    m_library.hostUsb().refresh();
}

void UsbRulesCard::focusFirst()
{
    auto const* first = m_layout->itemAt(0);
    auto* wanted
        = first == nullptr ? static_cast<QWidget*>(m_add) : static_cast<UsbRuleRow*>(first->widget())->choice();
    wanted->setFocus(Qt::ShortcutFocusReason);
}

void UsbRulesCard::change(std::function<vmm::Result<>(app::UsbRules&)> what, std::function<void()> refused)
{
    m_library.changeUsbRules(std::move(what), guarded(this, [this, refused](vmm::Result<> const& outcome) {
        if (outcome) {
            m_library.hostUsb().refresh(); // it tells when it has read them
        } else {
            m_added.reset();
            fill(); // what is shown is what is
            if (refused)
                refused();
        }
        emit failed(outcome ? std::nullopt : std::optional(outcome.error()));
    }));
}

void UsbRulesCard::fill()
{
    fillRows();
    auto const& problem = m_library.hostUsb().rulesProblem();
    m_problem->setVisible(problem.has_value());
    m_add->setEnabled(!problem);
    if (problem) {
        auto const words = problemFor(Task::ChangeUsbRules, *problem);
        m_problem->setText(tr("The rules cannot be read, and none holds. %1 Mend or remove the file %2.")
                               .arg(words.reason, QString::fromStdString(m_library.hostUsb().rulesFile())));
        m_problem->setToolTip(words.details);
        m_problem->setAccessibleDescription(words.details);
    }
}

UsbRuleRow* UsbRulesCard::makeRow()
{
    auto* row = new UsbRuleRow(this);
    connect(row, &UsbRuleRow::changed, this, [this](app::UsbRule const& changed) {
        change([changed](app::UsbRules& rules) { return rules.set(changed); });
    });
    connect(row, &UsbRuleRow::removed, this,
        [this](app::UsbMatch const& match) { change([match](app::UsbRules& rules) { return rules.remove(match); }); });
    connect(row, &UsbRuleRow::editWanted, this, &UsbRulesCard::openField);
    return row;
}

/// A rule keeps its row, and with it the focus and a list that is open.
void UsbRulesCard::fillRows()
{
    auto rules = m_library.hostUsb().rules().rules;
    std::ranges::stable_sort(rules, [](app::UsbRule const& one, app::UsbRule const& other) {
        return one.match.weight() != other.match.weight() ? one.match.weight() > other.match.weight()
                                                          : one.name < other.name;
    });
    UsbRuleRow::Machines machines;
    for (auto const& id : m_library.ids())
        machines.emplace_back(id, m_library.entry(id)->name);
    auto const* focused = window()->focusWidget();
    auto const rowAt = [this](int place) { return static_cast<UsbRuleRow*>(m_layout->itemAt(place)->widget()); };
    int focusedPlace = 0;
    while (focusedPlace < m_layout->count() && !rowAt(focusedPlace)->isAncestorOf(focused))
        ++focusedPlace;
    auto before = std::exchange(m_rows, {});
    QWidget* last = nullptr;
    for (auto const& rule : rules) {
        auto known = before.extract(app::usbMatchText(rule.match));
        auto* row = known ? known.mapped() : makeRow();
        row->setRule(rule, machines);
        auto const place = static_cast<int>(m_rows.size());
        m_rows[app::usbMatchText(rule.match)] = row;
        if (m_layout->indexOf(row) != place) {
            m_layout->removeWidget(row);
            m_layout->insertWidget(place, row);
        }
        row->show();
        if (last != nullptr)
            setTabOrder(last, row->choice());
        setTabOrder(row->choice(), row->editing());
        setTabOrder(row->editing(), row->removal());
        last = row->removal();
        // Who has gone on meanwhile stays there.
        if (m_added == rule.match) {
            m_added.reset();
            if (focused == m_add)
                row->choice()->setFocus(Qt::OtherFocusReason);
        }
    }
    if (last != nullptr)
        setTabOrder(last, m_add);
    m_field->setTabOrderAfter(m_add);
    for (auto const& [match, row] : before) {
        m_layout->removeWidget(row);
        if (row->isAncestorOf(focused)) { // on to the next one, or what is the last now
            auto* next = m_rows.empty() ? static_cast<QWidget*>(m_add)
                                        : rowAt(std::min(focusedPlace, static_cast<int>(m_rows.size()) - 1))->choice();
            next->setFocus(Qt::OtherFocusReason);
        }
        row->hide(); // one of its buttons may be the sender
        row->deleteLater();
    }
    if (m_field->instead() && !m_rows.contains(app::usbMatchText(*m_field->instead())))
        leaveField(); // there is nothing to change any more
}

void UsbRulesCard::offer(QMenu* menu, QString const& text, app::UsbMatch match, QString const& name)
{
    auto const& rules = m_library.hostUsb().rules().rules;
    auto const isThere = std::ranges::find(rules, match, &app::UsbRule::match) != rules.end();
    auto* action = menu->addAction(text, this, [this, match, name] {
        m_added = match;
        change([match, name](app::UsbRules& all) {
            return all.add({ match, app::UsbAction::Ask, {}, name.toStdString() });
        });
    });
    action->setEnabled(!isThere);
}

// What is written by hand

void UsbRulesCard::openField(std::optional<app::UsbMatch> const& instead)
{
    if (m_field->isWritten())
        m_field->comeBack(m_field->instead() != instead);
    else
        m_field->open(instead);
    emit partShown(m_field);
}

void UsbRulesCard::closeField(QWidget* next)
{
    if (m_field->isAncestorOf(window()->focusWidget()))
        next->setFocus(Qt::OtherFocusReason);
    m_field->hide();
}

void UsbRulesCard::leaveField()
{
    auto const instead = m_field->instead();
    auto const row = instead ? m_rows.find(app::usbMatchText(*instead)) : m_rows.end();
    closeField(row == m_rows.end() ? static_cast<QWidget*>(m_add) : row->second->editing());
}

void UsbRulesCard::enter(app::UsbMatch const& match)
{
    auto const instead = m_field->instead();
    if (instead == match)
        return leaveField();
    auto const what = [instead, match](app::UsbRules& rules) {
        return instead ? rules.setMatch(*instead, match) : rules.add({ match, app::UsbAction::Ask, {}, {} });
    };
    auto tried = m_library.hostUsb().rules();
    if (auto const outcome = what(tried); !outcome) {
        auto const words = problemFor(Task::ChangeUsbRules, outcome.error());
        m_field->refuse(outcome.error().code == vmm::ErrorCode::AlreadyExists
                ? tr("There is a rule for these devices already.")
                : match.isEmpty() ? tr("No rule takes every device into a machine: say which ones it takes.")
                                  : words.title,
            words.details);
        return;
    }
    m_added = match;
    closeField(m_add);
    change(what, [this, instead, match] {
        if (!m_field->isHidden() || window()->focusWidget() != m_add)
            return; // somebody has gone on meanwhile
        m_field->openAgain(instead, match);
        emit partShown(m_field);
    });
}

void UsbRulesCard::fillAddMenu()
{
    m_addMenu->clear();
    auto const& devices = m_library.hostUsb().devices();
    for (auto const& entry : devices) {
        auto const& device = entry.device;
        auto const name = usbName(device);
        auto* menu = m_addMenu->addMenu(icon(usbIconName(device)), name);
        app::UsbMatch model;
        model.vendor = device.vendor;
        model.product = device.product;
        if (!device.serial.empty()) {
            auto one = model;
            one.serial = device.serial;
            offer(menu, tr("This one only (%1)").arg(usbMatchWords(one)), one, name);
        }
        offer(menu, tr("Every one of this model (%1)").arg(QString::fromStdString(app::usbMatchText(model))), model,
            name);
        app::UsbMatch maker;
        maker.vendor = device.vendor;
        offer(menu, tr("Every device of this maker (%1)").arg(QString::fromStdString(app::usbMatchText(maker))), maker,
            QString::fromStdString(device.manufacturer));
        app::UsbMatch port;
        port.port = device.port;
        offer(menu, tr("Whatever is plugged in here (port %1)").arg(QString::fromStdString(device.port)), port, {});
        auto classes = device.interfaceClasses;
        if (device.deviceClass != 0)
            classes.push_back(device.deviceClass);
        std::ranges::sort(classes);
        classes.erase(std::ranges::unique(classes).begin(), classes.end());
        for (auto const number : classes) {
            app::UsbMatch kind;
            kind.deviceClass = number;
            offer(menu, tr("All of its kind: %1").arg(usbMatchWords(kind)), kind, {});
        }
    }
    if (devices.empty())
        m_addMenu->addAction(tr("Plug a device in to make a rule for it."))->setEnabled(false);
    m_addMenu->addSeparator();
    m_addMenu->addAction(tr("Another device…"), this, [this] { openField({}); });
    offer(m_addMenu, tr("All devices without another rule"), {}, {});
}

void UsbRulesCard::updateTexts()
{
    m_hint->setText(
        tr("What happens when a USB device is plugged in, or a machine starts. Of several rules that fit, the "
           "most exact one holds; without any you are asked while a machine has the focus."));
    m_add->setText(tr("Add a rule for…"));
    fill();
}

void UsbRulesCard::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
