"""Class tables: `id:name:rrggbb` entries, as facts from the ScanNet repository.

NYU40: ids and names of scannetv2-labels.combined.tsv, with "refridgerator" spelt refrigerator;
colours of BenchmarkScripts/util.py.
ScanNet200: BenchmarkScripts/ScanNet200/scannet200_constants.py and scannet200_splits.py at commit
520d564, of Rozenberszki et al., "Language-Grounded Indoor 3D Semantic Segmentation in the Wild",
ECCV 2022.
S3DIS: class names of Armeni et al., "3D Semantic Parsing of Large-Scale Indoor Spaces", CVPR 2016,
in the order of Pointcept; its files hold names, so raw ids are ours, 1 to 13, and 14 for stairs.
SUN RGB-D: the ten classes of Song et al., CVPR 2015, in the order of VoteNet; raw ids are its
class indices plus 1.
SemanticKITTI: semantic-kitti.yaml and semantic-kitti-all.yaml of Behley et al., ICCV 2019, at
commit a9c749e. nuScenes lidarseg: eval/lidarseg/utils.py of the devkit at commit d9de17a, Fong et
al., "Panoptic nuScenes", RA-L 2022. Waymo: segmentation.proto of the Waymo Open Dataset. KITTI: the
object classes of Geiger et al., CVPR 2012; its files hold names, so raw ids are ours.
"""

NYU40_ROWS = """
1:wall:aec7e8; 2:floor:98df8a; 3:cabinet:1f77b4; 4:bed:ffbb78; 5:chair:bcbd22; 6:sofa:8c564b;
7:table:ff9896; 8:door:d62728; 9:window:c5b0d5; 10:bookshelf:9467bd; 11:picture:c49c94;
12:counter:17becf; 13:blinds:b24c4c; 14:desk:f7b6d2; 15:shelves:42bc66; 16:curtain:dbdb8d;
17:dresser:8c39c5; 18:pillow:cab934; 19:mirror:33b0cb; 20:floor mat:c83683; 21:clothes:5cc13d;
22:ceiling:4e47b7; 23:books:ac7252; 24:refrigerator:ff7f0e; 25:television:5ba38a;
26:paper:99629c; 27:towel:8c9965; 28:shower curtain:9edae5; 29:box:647d9a; 30:whiteboard:b27f87;
31:person:78b980; 32:night stand:926fc2; 33:toilet:2ca02c; 34:sink:708090; 35:lamp:60cfd1;
36:bathtub:e377c2; 37:bag:d55cb0; 38:otherstructure:5e6ad3; 39:otherfurniture:5254a3;
40:otherprop:645590
"""

SCANNET200_ROWS = {
    "head": """
1:wall:aec7e8; 2:chair:bcbd22; 3:floor:98df8a; 4:table:ff9896; 5:door:d62728; 6:couch:5b87e5;
7:cabinet:1f77b4; 8:shelf:e55b68; 9:desk:f7b6d2; 10:office chair:5be56e; 11:bed:ffbb78;
13:pillow:8d5be5; 14:sink:708090; 15:picture:c49c94; 16:window:c5b0d5; 17:toilet:2ca02c;
18:bookshelf:9467bd; 19:monitor:e55bdf; 21:curtain:dbdb8d; 22:book:c0e55b; 23:armchair:58da89;
24:coffee table:3a6289; 26:box:b152ef; 27:refrigerator:ff7f0e; 28:lamp:edcc25;
29:kitchen cabinet:29ce20; 31:towel:3e8f94; 32:clothes:220e82; 33:tv:8f2d73;
34:nightstand:893f0e; 35:counter:17becf; 36:dresser:10d48b; 38:stool:5a77c9; 40:plant:963538;
41:ceiling:bac53e; 42:bathtub:e377c2; 48:backpack:8ff56f; 51:tv stand:c433b6;
52:whiteboard:ed5026; 55:shower curtain:9edae5; 56:trash can:2660a7; 57:closet:be4df6;
58:stairs:d03154; 62:stove:37dc39; 69:board:1441f7; 70:washing machine:d03dde; 71:mirror:a23e3c;
72:copier:d2eb3e; 74:sofa chair:236b95; 75:file cabinet:a059ed; 78:shower:2a8f14;
86:blinds:7bac2f; 89:blackboard:8610b3; 96:radiator:12a3c2; 97:recycling bin:411d99;
99:wardrobe:985307; 110:clothes dryer:9729f5; 125:bathroom stall:619027; 128:shower wall:6ae7b0;
159:kitchen counter:389059; 161:doorframe:40a0fa; 540:mailbox:e52072; 1163:object:628dd0;
1164:bathroom vanity:9013c1; 1165:closet wall:a62439; 1171:stair rail:864c0e
""",
    "common": """
39:cushion:7d1e8d; 44:end table:266480; 45:dining table:781ff3; 46:keyboard:9a3b67;
47:bag:a9894e; 49:toilet paper:25e6cd; 50:printer:0e109b; 54:blanket:8aaf3e;
59:microwave:d0c148; 63:shoe:0a7d8c; 64:computer tower:4c26ca; 65:bottle:bf1c87; 66:bin:d3782a;
67:ottoman:76ae4c; 68:bench:11f2ab; 73:basket:2d9848; 76:fan:e3387d; 77:laptop:a98f51;
80:person:524be3; 82:paper towel dispenser:fd3bde; 84:oven:f08259; 87:rack:47c285;
90:piano:9f2034; 93:suitcase:d5d058; 95:rail:409e46; 98:container:b10a6d; 101:telephone:12c799;
104:stand:aa352a; 105:light:a1c026; 106:laundry basket:17f15b; 107:pipe:0c67aa; 116:seat:328a26;
120:column:2713d0; 121:bicycle:df1bb4; 122:ladder:fe8d55; 131:jacket:7c428c;
132:storage bin:894249; 134:coffee maker:fafd1a; 136:dishwasher:37bf49; 139:machine:996cea;
140:mat:b83a7d; 141:windowsill:87540e; 154:bulletin board:3f4586; 156:fireplace:7f3f34;
165:mini fridge:8b1235; 177:water cooler:e85dc1; 188:shower door:36d196; 191:pillar:3c63cc;
193:ledge:812b90; 213:furniture:347a98; 214:cart:804cca; 250:decoration:9b4028;
276:closet door:2d67ad; 283:vacuum cleaner:6f2695; 323:dish rack:4220b6; 342:range hood:85f034;
609:projector screen:860d74; 748:divider:c0613f; 1156:bathroom counter:5fdc9c;
1166:laundry hamper:d4ca22; 1167:bathroom stall door:17ce22; 1168:ceiling light:5bd3ec;
1169:trash bin:4f3789; 1173:bathroom cabinet:52e0bb; 1178:structure:afc74d;
1183:storage organizer:c5980b; 1189:potted plant:95d642; 1191:mattress:2a5ec6
""",
    "tail": """
79:paper:19a097; 88:plate:185ecd; 100:soap dispenser:53af1e; 102:bucket:3d51d0;
103:clock:d555d8; 112:guitar:853350; 115:toilet paper holder:b8a25b; 118:speaker:1fedec;
130:cup:0c3da2; 138:paper towel roll:3c7e92; 145:bar:8bf85b; 148:toaster:35c8ac;
155:ironing board:be4bba; 157:soap dish:8db619; 163:toilet paper dispenser:b656f5;
166:fire extinguisher:867836; 168:ball:31a52a; 169:hat:338085; 170:shower curtain rod:2c15a3;
180:paper cutter:b06636; 185:tray:74d911; 195:toaster oven:fc646a; 202:mouse:bbc449;
208:toilet seat cover dispenser:0d9e28; 221:storage container:bb3273; 229:scale:b48d47;
230:tissue box:4dd023; 232:light switch:48b7a8; 233:crate:6163cb; 242:power outlet:ac169e;
261:sign:769f1e; 264:projector:45fc94; 286:candle:b80931; 300:plunger:bcae43;
304:stuffed animal:35ce35; 312:headphones:61ebfc; 325:broom:ec72c3; 331:guitar case:f19a53;
356:dustpan:10cd90; 370:hair dryer:4b65c6; 392:water bottle:ed5ffb; 395:handicap bar:bf3431;
399:purse:e3fe36; 408:vent:31ce57; 417:shower floor:307196; 488:water pitcher:7d49b6;
562:bowl:9e771c; 570:paper bag:3ccd1b; 572:alarm clock:12d7c9; 581:music stand:4f4c99;
776:laundry detergent:6ca312; 1170:dumbbell:b61375; 1172:tube:57b91c; 1174:cd case:5c6ed6;
1175:closet rod:a850ab; 1176:coffee kettle:c53f33; 1179:shower head:3eb462;
1180:keyboard piano:085b96; 1181:case of water bottles:4d0f82; 1182:coat rack:9a4160;
1184:folded chair:3b9b2d; 1185:fire alarm:0c9391; 1186:power strip:3623db; 1187:calendar:d249b5;
1188:poster:dd7c4d; 1190:luggage:48b986
""",
}

S3DIS_ROWS = """
1:ceiling:00ff00; 2:floor:0000ff; 3:wall:00ffff; 4:beam:ffff00; 5:column:ff00ff; 6:window:6464ff;
7:door:c8c864; 8:table:aa78c8; 9:chair:ff0000; 10:sofa:c86464; 11:bookcase:0ac864; 12:board:c8c8c8;
13:clutter:323232
"""

SUNRGBD_ROWS = """
1:bed:ffbb78; 2:table:ff9896; 3:sofa:8c564b; 4:chair:bcbd22; 5:toilet:2ca02c; 6:desk:f7b6d2;
7:dresser:8c39c5; 8:night_stand:926fc2; 9:bookshelf:9467bd; 10:bathtub:e377c2
"""

SEMANTICKITTI_ROWS = """
10:car:6496f5; 11:bicycle:64e6f5; 15:motorcycle:1e3c96; 18:truck:501eb4; 20:other-vehicle:0000ff;
30:person:ff1e1e; 31:bicyclist:ff28c8; 32:motorcyclist:961e5a; 40:road:ff00ff; 44:parking:ff96ff;
48:sidewalk:4b004b; 49:other-ground:af004b; 50:building:ffc800; 51:fence:ff7832;
70:vegetation:00af00; 71:trunk:873c00; 72:terrain:96f050; 80:pole:fff096; 81:traffic-sign:ff0000
"""
SEMANTICKITTI_MOVING_ROWS = """
252:moving-car:6496f5; 253:moving-bicyclist:ff28c8; 254:moving-person:ff1e1e;
255:moving-motorcyclist:961e5a; 259:moving-other-vehicle:0000ff; 258:moving-truck:501eb4
"""
SEMANTICKITTI_IGNORED = (0, 1, 52, 99)
# A raw id, and the raw id of the class that it counts as.
SEMANTICKITTI_MERGED = ((13, 20), (16, 20), (60, 40))
SEMANTICKITTI_MOVING_MERGED = ((256, 259), (257, 259))
SEMANTICKITTI_STILL_MERGED = (
    (252, 10), (253, 31), (254, 30), (255, 32), (256, 20), (257, 20), (258, 18), (259, 20),
)  # fmt: skip

NUSCENES_ROWS = """
9:barrier:708090; 14:bicycle:dc143c; 16:bus:ff7f50; 17:car:ff9e00; 18:construction_vehicle:e99646;
21:motorcycle:ff3d63; 2:pedestrian:0000e6; 12:traffic_cone:2f4f4f; 22:trailer:ff8c00;
23:truck:ff6347; 24:driveable_surface:00cfbf; 25:other_flat:af004b; 26:sidewalk:4b004b;
27:terrain:70b43c; 28:manmade:deb887; 30:vegetation:00af00
"""
NUSCENES_IGNORED = (0, 1, 5, 7, 8, 10, 11, 13, 19, 20, 29, 31)
NUSCENES_MERGED = ((15, 16), (3, 2), (4, 2), (6, 2))

# Categories of nuScenes by raw id; boxes have those of 1 to 23.
NUSCENES_CATEGORIES = (
    "noise",
    "animal",
    "human.pedestrian.adult",
    "human.pedestrian.child",
    "human.pedestrian.construction_worker",
    "human.pedestrian.personal_mobility",
    "human.pedestrian.police_officer",
    "human.pedestrian.stroller",
    "human.pedestrian.wheelchair",
    "movable_object.barrier",
    "movable_object.debris",
    "movable_object.pushable_pullable",
    "movable_object.trafficcone",
    "static_object.bicycle_rack",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.car",
    "vehicle.construction",
    "vehicle.emergency.ambulance",
    "vehicle.emergency.police",
    "vehicle.motorcycle",
    "vehicle.trailer",
    "vehicle.truck",
    "flat.driveable_surface",
    "flat.other",
    "flat.sidewalk",
    "flat.terrain",
    "static.manmade",
    "static.other",
    "static.vegetation",
    "vehicle.ego",
)

WAYMO_ROWS = """
1:car:6496f5; 2:truck:501eb4; 3:bus:6450fa; 4:other_vehicle:0000ff; 5:motorcyclist:961e5a;
6:bicyclist:ff28c8; 7:pedestrian:ff1e1e; 8:sign:ff0000; 9:traffic_light:fae600; 10:pole:fff096;
11:construction_cone:ff7800; 12:bicycle:64e6f5; 13:motorcycle:1e3c96; 14:building:ffc800;
15:vegetation:00af00; 16:tree_trunk:873c00; 17:curb:c8c8c8; 18:road:ff00ff; 19:lane_marker:ffffff;
20:other_ground:af004b; 21:walkable:96f050; 22:sidewalk:4b004b
"""

KITTI_ROWS = """
1:Car:6496f5; 2:Van:6450fa; 3:Truck:501eb4; 4:Pedestrian:ff1e1e; 5:Person_sitting:ff9696;
6:Cyclist:ff28c8; 7:Tram:0000ff; 8:Misc:af004b
"""
