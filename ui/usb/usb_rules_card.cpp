#include "ui/usb/usb_rules_card.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/refill.h"

#include <QComboBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPushButton>
#include <QToolButton>
#include <algorithm>
#include <utility>

namespace ui {

UsbRulesCard::UsbRulesCard(app::Library& library, QWidget* parent)
    : QWidget(parent),
      m_library(library),
      m_hint(new QLabel),
      m_problem(new QLabel),
      m_rows(new QWidget),
      m_add(new QPushButton),
      m_addMenu(new QMenu(this))
{
    m_hint->setProperty("quiet", true);
    m_hint->setWordWrap(true);
    m_problem->setWordWrap(true);
    auto* rows = new QVBoxLayout(m_rows);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(8);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(10);
    layout->addWidget(m_hint);
    layout->addWidget(m_problem);
    layout->addWidget(m_rows);
    layout->addWidget(m_add, 0, Qt::AlignLeft);
    m_add->setMenu(m_addMenu);
    connect(m_addMenu, &QMenu::aboutToShow, this, &UsbRulesCard::fillAddMenu);
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
    auto* first = m_rows->findChild<QComboBox*>();
    first != nullptr ? first->setFocus(Qt::ShortcutFocusReason) : m_add->setFocus(Qt::ShortcutFocusReason);
}

void UsbRulesCard::change(std::function<vmm::Result<>(app::UsbRules&)> what)
{
    m_library.changeUsbRules(std::move(what), guarded(this, [this](vmm::Result<> const& outcome) {
        if (outcome)
            m_library.hostUsb().refresh(); // it tells when it has read them
        else
            fill(); // what is shown is what is
        emit failed(outcome ? std::nullopt : std::optional(outcome.error()));
    }));
}

void UsbRulesCard::fill()
{
    auto rules = m_library.hostUsb().rules().rules;
    std::ranges::stable_sort(rules, [](app::UsbRule const& one, app::UsbRule const& other) {
        return one.match.weight() != other.match.weight() ? one.match.weight() > other.match.weight()
                                                          : one.name < other.name;
    });
    {
        Refill const refill(m_rows);
        for (auto const& rule : rules)
            addRow(rule);
    }
    auto const& problem = m_library.hostUsb().rulesProblem();
    m_problem->setVisible(problem.has_value());
    m_add->setEnabled(!problem);
    if (problem) {
        m_problem->setText(tr("The rules cannot be read, and none holds: %1. Mend or remove that file.")
                               .arg(QString::fromStdString(problem->message())));
    }
}

void UsbRulesCard::addRow(app::UsbRule const& rule)
{
    auto const words = usbMatchWords(rule.match);
    auto const named = QString::fromStdString(rule.name);
    auto const title = named.isEmpty() ? words : named;
    auto* row = new QWidget;
    auto* picture = new QLabel;
    picture->setPixmap(icon(usbIconName(rule.match), themeColors().faint).pixmap(QSize(18, 18), devicePixelRatioF()));
    auto* name = new ElidedLabel;
    name->setText(title);
    auto* meant = new QLabel(words);
    meant->setProperty("quiet", true);
    meant->setTextFormat(Qt::PlainText);
    meant->setWordWrap(true);
    meant->setVisible(!named.isEmpty());
    auto* column = new QVBoxLayout;
    column->setSpacing(0);
    column->addWidget(name);
    column->addWidget(meant);
    auto const spoken = named.isEmpty() ? words : QStringLiteral("%1 (%2)").arg(named, words);
    auto* remove = new QToolButton;
    remove->setIcon(icon(QStringLiteral("trash")));
    remove->setFocusPolicy(Qt::StrongFocus);
    remove->setToolTip(tr("Remove the rule for %1").arg(spoken));
    remove->setAccessibleName(remove->toolTip());
    connect(remove, &QToolButton::clicked, this,
        [this, match = rule.match] { change([match](app::UsbRules& rules) { return rules.remove(match); }); });
    auto* choice = makeChoice(rule, spoken);
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(10);
    layout->addWidget(picture);
    layout->addLayout(column, 1);
    layout->addWidget(choice);
    layout->addWidget(remove);
    m_rows->layout()->addWidget(row);
    if (m_added == rule.match) {
        m_added.reset();
        choice->setFocus(Qt::OtherFocusReason);
    }
}

QComboBox* UsbRulesCard::makeChoice(app::UsbRule const& rule, QString const& words)
{
    auto* choice = new QComboBox;
    // No item has more room than a name of usual length: the list that opens has it.
    choice->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    choice->setMinimumContentsLength(18);
    choice->setAccessibleName(tr("What happens with %1").arg(words));
    std::vector<std::pair<app::UsbAction, QString>> choices { { app::UsbAction::Ask, {} },
        { app::UsbAction::Never, {} } };
    choice->addItems({ tr("Ask each time"), tr("Stays on this computer") });
    auto const addMachine = [&](QString const& id, QString const& text) {
        choice->addItem(text);
        choices.emplace_back(app::UsbAction::Attach, id);
    };
    if (!rule.match.isEmpty()) {
        for (auto const& id : m_library.ids())
            addMachine(id, tr("Always into “%1”").arg(m_library.entry(id)->name));
    }
    auto const machine = QString::fromStdString(rule.machine);
    auto current = std::ranges::find(choices, std::pair(rule.action, machine));
    if (current == choices.end()) {
        addMachine(machine, tr("Into a machine that is not here"));
        current = std::prev(choices.end());
    }
    choice->setCurrentIndex(static_cast<int>(current - choices.begin()));
    connect(choice, &QComboBox::activated, this, [this, rule, choices](int index) {
        auto changed = rule;
        changed.action = choices[static_cast<std::size_t>(index)].first;
        changed.machine = choices[static_cast<std::size_t>(index)].second.toStdString();
        if (changed != rule)
            change([changed](app::UsbRules& rules) { return rules.set(changed); });
    });
    return choice;
}

void UsbRulesCard::offer(QMenu* menu, QString const& text, app::UsbMatch match, QString const& name)
{
    auto const& rules = m_library.hostUsb().rules().rules;
    auto const isThere = std::ranges::find(rules, match, &app::UsbRule::match) != rules.end();
    auto* action = menu->addAction(text, this, [this, match, name] {
        m_added = match;
        change([match, name](app::UsbRules& all) {
            return all.set({ match, app::UsbAction::Ask, {}, name.toStdString() });
        });
    });
    action->setEnabled(!isThere);
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
    else if (event->type() == QEvent::PaletteChange)
        fill(); // the icons' colours
}

}
